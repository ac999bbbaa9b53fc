/* The module hyper:native: raw system calls and the few things that cannot be made of them. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

/* What TypeScript may call. Names, because the numbers differ between architectures. */
static const struct {
  const char *name;
  long number;
} system_calls[] = {
#define CALL(name) {#name, SYS_##name}
    CALL(bind),          CALL(capset),        CALL(chdir),          CALL(clock_gettime),
    CALL(clock_settime), CALL(close),         CALL(close_range),    CALL(dup3),
    CALL(execve),        CALL(execveat),      CALL(fchdir),         CALL(fchmod),
    CALL(fchmodat),      CALL(fchown),        CALL(fchownat),       CALL(fcntl),
    CALL(getdents64),    CALL(ioctl),         CALL(kill),           CALL(mkdirat),
    CALL(mknodat),       CALL(mount),         CALL(openat),         CALL(openat2),
    CALL(pidfd_getfd),   CALL(pidfd_open),    CALL(pipe2),          CALL(pivot_root),
    CALL(ppoll),         CALL(pread64),       CALL(prctl),         CALL(prlimit64),      CALL(read),
    CALL(recvfrom),      CALL(seccomp),       CALL(sendto),         CALL(setdomainname),
    CALL(setgroups),     CALL(sethostname),   CALL(setns),          CALL(setresgid),
    CALL(setresuid),     CALL(setsid),        CALL(signalfd4),      CALL(socket),
    CALL(socketpair),    CALL(statx),         CALL(symlinkat),      CALL(sync),
    CALL(timerfd_create), CALL(timerfd_settime), CALL(umask),       CALL(umount2),
    CALL(uname),         CALL(unlinkat),      CALL(unshare),        CALL(wait4),
#undef CALL
};

static const char **string_vector(JSContext *context, JSValueConst array) {
  JSValue length_value = JS_GetPropertyStr(context, array, "length");
  uint32_t length = 0;
  JS_ToUint32(context, &length, length_value);
  const char **vector = calloc((size_t)length + 1, sizeof *vector);
  for (uint32_t i = 0; vector != NULL && i < length; i++) {
    JSValue item = JS_GetPropertyUint32(context, array, i);
    vector[i] = JS_ToCString(context, item);
    JS_FreeValue(context, item);
  }
  return vector;
}

static void free_vector(JSContext *context, const char **vector) {
  for (const char **item = vector; item != NULL && *item != NULL; item++)
    JS_FreeCString(context, *item);
  free(vector);
}

/* One argument of a system call and what must be freed after it. */
struct argument {
  long value;
  const char *string;
  const char **vector;
};

static int convert(JSContext *context, JSValueConst value, struct argument *argument) {
  if (JS_IsNumber(value)) {
    int64_t number;
    JS_ToInt64(context, &number, value);
    argument->value = (long)number;
  } else if (JS_IsString(value)) {
    size_t length;
    argument->string = JS_ToCStringLen(context, &length, value);
    argument->value = (long)argument->string;
    /* A NUL inside would make the kernel see another path than TypeScript has checked. */
    return argument->string != NULL && strlen(argument->string) == length ? 0 : -EINVAL;
  } else if (JS_IsArray(context, value)) {
    argument->vector = string_vector(context, value);
    argument->value = (long)argument->vector;
  } else if (!JS_IsNull(value)) {
    size_t size;
    argument->value = (long)JS_GetArrayBuffer(context, &size, value);
    return argument->value == 0 ? -EFAULT : 0;
  }
  return 0;
}

/* call(name, …): the result, or -errno as the kernel gives it. */
static JSValue native_call(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  const char *name = JS_ToCString(context, argv[0]);
  long number = -1;
  for (size_t i = 0; name != NULL && i < sizeof system_calls / sizeof *system_calls; i++) {
    if (strcmp(system_calls[i].name, name) == 0)
      number = system_calls[i].number;
  }
  JS_FreeCString(context, name);
  if (number < 0 || argc > 7)
    return JS_ThrowReferenceError(context, "no such system call");
  struct argument arguments[6] = {0};
  long result = 0;
  for (int i = 1; i < argc && result == 0; i++)
    result = convert(context, argv[i], &arguments[i - 1]);
  if (result == 0) {
    result = syscall(number, arguments[0].value, arguments[1].value, arguments[2].value,
                     arguments[3].value, arguments[4].value, arguments[5].value);
    if (result == -1)
      result = -errno;
  }
  for (int i = 0; i < 6; i++) {
    JS_FreeCString(context, arguments[i].string);
    free_vector(context, arguments[i].vector);
  }
  if (result == -EFAULT && JS_HasException(context))
    return JS_EXCEPTION;
  return JS_NewInt64(context, result);
}

/* writeText(fd, text): 0 when all is written, else -errno. */
static JSValue native_write_text(JSContext *context, JSValueConst this, int argc,
                                 JSValueConst *argv) {
  int fd, error = 0;
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, argv[1]);
  if (text == NULL || JS_ToInt32(context, &fd, argv[0]))
    return JS_EXCEPTION;
  size_t done = 0;
  do {
    ssize_t written = write(fd, text + done, length - done);
    if (written < 0)
      error = errno;
    else
      done += (size_t)written;
  } while (error == 0 && done < length);
  JS_FreeCString(context, text);
  return JS_NewInt32(context, -error);
}

/* decodeText(buffer, offset, length): invalid UTF-8 is replaced. */
static JSValue native_decode_text(JSContext *context, JSValueConst this, int argc,
                                  JSValueConst *argv) {
  size_t size;
  uint32_t offset, length;
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  if (bytes == NULL || JS_ToUint32(context, &offset, argv[1]) ||
      JS_ToUint32(context, &length, argv[2]))
    return JS_EXCEPTION;
  if (offset > size || length > size - offset)
    return JS_ThrowRangeError(context, "decodeText: outside of the buffer");
  return JS_NewStringLen(context, (const char *)bytes + offset, length);
}

/* decodeBase64(text): an ArrayBuffer, or null when it is not base64. */
static JSValue native_decode_base64(JSContext *context, JSValueConst this, int argc,
                                    JSValueConst *argv) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t length, size = 0;
  const char *text = JS_ToCStringLen(context, &length, argv[0]);
  if (text == NULL)
    return JS_EXCEPTION;
  uint8_t *bytes = malloc(length / 4 * 3 + 3);
  uint32_t bits = 0;
  bool valid = bytes != NULL && length % 4 == 0;
  for (size_t i = 0; valid && i < length && text[i] != '='; i++) {
    const char *digit = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);
    valid = digit != NULL;
    bits = bits << 6 | (uint32_t)(valid ? digit - alphabet : 0);
    if (i % 4 != 0)
      bytes[size++] = (uint8_t)(bits >> (6 - i % 4 * 2));
  }
  JS_FreeCString(context, text);
  JSValue result = valid ? JS_NewArrayBufferCopy(context, bytes, size) : JS_NULL;
  free(bytes);
  return result;
}

/* addressOf(buffer): for structs that hold pointers; valid while the ArrayBuffer lives. */
static JSValue native_address_of(JSContext *context, JSValueConst this, int argc,
                                 JSValueConst *argv) {
  size_t size;
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  return bytes == NULL ? JS_EXCEPTION : JS_NewInt64(context, (int64_t)(uintptr_t)bytes);
}

static JSValue native_error_text(JSContext *context, JSValueConst this, int argc,
                                 JSValueConst *argv) {
  int number;
  if (JS_ToInt32(context, &number, argv[0]))
    return JS_EXCEPTION;
  return JS_NewString(context, strerror(number));
}

/*
 * fork(flags, cgroupFd, run): a child by clone3, in a cgroup unless cgroupFd is -1. The child has a copy
 * of the whole heap and calls `run`, which is to end in execve; the parent gets its pid or -errno.
 */
static JSValue native_fork(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  int64_t flags;
  int cgroup_fd;
  if (JS_ToInt64(context, &flags, argv[0]) || JS_ToInt32(context, &cgroup_fd, argv[1]))
    return JS_EXCEPTION;
  struct clone_args clone = {.flags = (uint64_t)flags, .exit_signal = SIGCHLD};
  if (cgroup_fd >= 0) {
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup = (uint64_t)cgroup_fd;
  }
  long pid = syscall(SYS_clone3, &clone, sizeof clone);
  if (pid != 0)
    return JS_NewInt64(context, pid < 0 ? -errno : pid);
  is_machine_init = false;
  for (int signal_number = 1; signal_number < NSIG; signal_number++)
    signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  JSValue result = JS_Call(context, argv[2], JS_UNDEFINED, 0, NULL);
  if (JS_IsException(result))
    fatal_exception();
  _exit(127);
}

/* A descriptor that TypeScript listens to. */
struct script_watch {
  struct watch watch;
  JSValue callback;
  struct script_watch *next;
};

static struct script_watch *script_watches;

static void script_ready(struct watch *watch, uint32_t events) {
  JSValue callback = JS_DupValue(js, ((struct script_watch *)watch)->callback);
  JSValue argument = JS_NewUint32(js, events);
  call_javascript(callback, 1, &argument);
  JS_FreeValue(js, callback);
}

static void script_release(struct watch *watch) {
  JS_FreeValue(js, ((struct script_watch *)watch)->callback);
  free(watch);
}

/* watch(fd, events, callback): 0 or -errno. */
static JSValue native_watch(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  int fd;
  uint32_t events;
  struct script_watch *script = calloc(1, sizeof *script);
  if (script == NULL || JS_ToInt32(context, &fd, argv[0]) || JS_ToUint32(context, &events, argv[1]))
    fatal("watch: no memory or no numbers");
  script->watch = (struct watch){.fd = fd, .ready = script_ready, .release = script_release};
  int error = watch_set(&script->watch, events);
  if (error != 0) {
    free(script);
    return JS_NewInt32(context, error);
  }
  script->callback = JS_DupValue(context, argv[2]);
  script->next = script_watches;
  script_watches = script;
  return JS_NewInt32(context, 0);
}

/* unwatch(fd): also closes it. */
static JSValue native_unwatch(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  int fd;
  if (JS_ToInt32(context, &fd, argv[0]))
    return JS_EXCEPTION;
  for (struct script_watch **link = &script_watches; *link != NULL; link = &(*link)->next) {
    struct script_watch *script = *link;
    if (script->watch.fd != fd)
      continue;
    *link = script->next;
    watch_end(&script->watch, true);
    break;
  }
  return JS_UNDEFINED;
}

static JSValue native_power_off(JSContext *context, JSValueConst this, int argc,
                                JSValueConst *argv) {
  power_off();
}

static const JSCFunctionListEntry module_functions[] = {
    JS_CFUNC_DEF("call", 1, native_call),
    JS_CFUNC_DEF("writeText", 2, native_write_text),
    JS_CFUNC_DEF("decodeText", 3, native_decode_text),
    JS_CFUNC_DEF("decodeBase64", 1, native_decode_base64),
    JS_CFUNC_DEF("addressOf", 1, native_address_of),
    JS_CFUNC_DEF("errorText", 1, native_error_text),
    JS_CFUNC_DEF("fork", 3, native_fork),
    JS_CFUNC_DEF("watch", 3, native_watch),
    JS_CFUNC_DEF("unwatch", 1, native_unwatch),
    JS_CFUNC_DEF("powerOff", 0, native_power_off),
};
static const int module_function_count = sizeof module_functions / sizeof *module_functions;

static int module_init(JSContext *context, JSModuleDef *module) {
  return JS_SetModuleExportList(context, module, module_functions, module_function_count) ||
         JS_SetModuleExportList(context, module, channel_functions, channel_function_count);
}

int native_module_register(const char *name) {
  JSModuleDef *module = JS_NewCModule(js, name, module_init);
  if (module == NULL)
    return -1;
  return JS_AddModuleExportList(js, module, module_functions, module_function_count) ||
         JS_AddModuleExportList(js, module, channel_functions, channel_function_count);
}
