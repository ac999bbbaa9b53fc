/* The module hyper:native: raw system calls and the few things that cannot be made of them. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sched.h>

/* What TypeScript may call. Names, because the numbers differ between architectures. */
static const struct {
  const char *name;
  long number;
} system_calls[] = {
#define CALL(name) {#name, SYS_##name}
    CALL(bind), CALL(bpf), CALL(capset), CALL(chdir), CALL(clock_gettime), CALL(clock_settime),
    CALL(close), CALL(close_range), CALL(dup3), CALL(execve), CALL(execveat), CALL(fchmodat),
    CALL(fchown), CALL(fchownat), CALL(fcntl), CALL(getdents64), CALL(ioctl), CALL(kill),
    CALL(mkdirat), CALL(mknodat), CALL(mount), CALL(openat), CALL(openat2), CALL(pidfd_getfd),
    CALL(pidfd_open), CALL(pipe2), CALL(pivot_root), CALL(ppoll), CALL(prctl), CALL(pread64),
    CALL(prlimit64), CALL(read), CALL(recvfrom), CALL(seccomp), CALL(sendto), CALL(setdomainname),
    CALL(setgroups), CALL(sethostname), CALL(setns), CALL(setresgid), CALL(setresuid), CALL(setsid),
    CALL(signalfd4), CALL(socket), CALL(statx), CALL(symlinkat), CALL(sync), CALL(timerfd_create),
    CALL(timerfd_settime), CALL(umask), CALL(umount2), CALL(uname), CALL(unlinkat), CALL(unshare),
    CALL(wait4),
#undef CALL
};

int integer(JSValueConst value) {
  int64_t number = 0;
  JS_ToInt64(js, &number, value);
  return (int)number;
}

/* An argument of a system call and what must be freed after it. */
struct argument {
  int64_t value;
  const char *string;
  const char **vector;
};

/* An array of strings as execve wants it. */
static const char **string_vector(JSContext *context, JSValueConst array) {
  JSValue length = JS_GetPropertyStr(context, array, "length");
  int count = integer(length);
  const char **vector = calloc((size_t)count + 1, sizeof *vector);
  for (int i = 0; vector != NULL && i < count; i++) {
    JSValue item = JS_GetPropertyUint32(context, array, (uint32_t)i);
    vector[i] = JS_ToCString(context, item);
    JS_FreeValue(context, item);
  }
  return vector;
}

/* Returns 0 or -errno. */
static int convert(JSContext *context, JSValueConst value, struct argument *argument) {
  size_t size;
  if (JS_IsNumber(value)) {
    JS_ToInt64(context, &argument->value, value);
  } else if (JS_IsString(value)) {
    argument->string = JS_ToCStringLen(context, &size, value);
    argument->value = (intptr_t)argument->string;
    /* A NUL inside would make the kernel see another path than TypeScript has checked. */
    return argument->string != NULL && strlen(argument->string) == size ? 0 : -EINVAL;
  } else if (JS_IsArray(context, value)) {
    argument->vector = string_vector(context, value);
    argument->value = (intptr_t)argument->vector;
  } else if (!JS_IsNull(value)) {
    argument->value = (intptr_t)JS_GetArrayBuffer(context, &size, value);
    return argument->value == 0 ? -EFAULT : 0;
  }
  return 0;
}

/* call(name, …): the result, or -errno as the kernel gives it. */
NATIVE(native_call) {
  const char *name = JS_ToCString(context, argv[0]);
  long number = -1;
  for (size_t i = 0; name != NULL && i < COUNT(system_calls); i++) {
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
    result = result == -1 ? -errno : result;
  }
  for (size_t i = 0; i < COUNT(arguments); i++) {
    JS_FreeCString(context, arguments[i].string);
    for (const char **item = arguments[i].vector; item != NULL && *item != NULL; item++)
      JS_FreeCString(context, *item);
    free(arguments[i].vector);
  }
  return JS_HasException(context) ? JS_EXCEPTION : JS_NewInt64(context, result);
}

/* writeText(fd, text): 0 when all is written, else -errno. */
NATIVE(native_write_text) {
  size_t length, done = 0;
  const char *text = JS_ToCStringLen(context, &length, argv[1]);
  ssize_t written;
  if (text == NULL)
    return JS_EXCEPTION;
  do {
    written = write(integer(argv[0]), text + done, length - done);
    done += written > 0 ? (size_t)written : 0;
  } while (written > 0 && done < length);
  JS_FreeCString(context, text);
  return JS_NewInt32(context, written < 0 ? -errno : 0);
}

/* decodeText(buffer, offset, length): invalid UTF-8 is replaced. */
NATIVE(native_decode_text) {
  size_t size, offset = (uint32_t)integer(argv[1]), length = (uint32_t)integer(argv[2]);
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  if (bytes == NULL || offset > size || length > size - offset)
    return JS_ThrowRangeError(context, "decodeText: outside of the buffer");
  return JS_NewStringLen(context, (const char *)bytes + offset, length);
}

/* decodeBase64(text): an ArrayBuffer, or null when it is not base64. */
NATIVE(native_decode_base64) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t length, size = 0;
  const char *text = JS_ToCStringLen(context, &length, argv[0]);
  uint8_t *bytes = text == NULL ? NULL : malloc(length / 4 * 3 + 3);
  uint32_t bits = 0;
  bool valid = bytes != NULL && length % 4 == 0;
  for (size_t i = 0; valid && i < length && text[i] != '='; i++) {
    const char *digit = memchr(digits, text[i], sizeof digits - 1);
    valid = digit != NULL;
    bits = bits << 6 | (uint32_t)(valid ? digit - digits : 0);
    if (i % 4 != 0)
      bytes[size++] = (uint8_t)(bits >> (6 - i % 4 * 2));
  }
  JS_FreeCString(context, text);
  JSValue result = valid ? JS_NewArrayBufferCopy(context, bytes, size) : JS_NULL;
  free(bytes);
  return result;
}

/* addressOf(buffer): for structs that hold pointers; valid while the ArrayBuffer lives. */
NATIVE(native_address_of) {
  size_t size;
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  return bytes == NULL ? JS_EXCEPTION : JS_NewInt64(context, (int64_t)(uintptr_t)bytes);
}

NATIVE(native_error_text) { return JS_NewString(context, strerror(integer(argv[0]))); }

/*
 * fork(flags, cgroupFd, run): a child by clone3, in a cgroup unless cgroupFd is -1. The child has a copy
 * of the whole heap and calls `run`, which is to end in execve; the parent gets its pid or -errno.
 */
NATIVE(native_fork) {
  struct clone_args clone = {.flags = (uint32_t)integer(argv[0]), .exit_signal = SIGCHLD};
  int cgroup_fd = integer(argv[1]);
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
  if (JS_IsException(JS_Call(context, argv[2], JS_UNDEFINED, 0, NULL)))
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
  call_javascript(((struct script_watch *)watch)->callback, JS_NewUint32(js, events));
}

static void script_release(struct watch *watch) {
  JS_FreeValue(js, ((struct script_watch *)watch)->callback);
  free(watch);
}

/* watch(fd, events, callback): 0 or -errno. */
NATIVE(native_watch) {
  struct script_watch *script = calloc(1, sizeof *script);
  if (script == NULL)
    return JS_NewInt32(context, -ENOMEM);
  script->watch =
      (struct watch){.fd = integer(argv[0]), .ready = script_ready, .release = script_release};
  script->callback = JS_DupValue(context, argv[2]);
  int error = watch_set(&script->watch, (uint32_t)integer(argv[1]));
  if (error == 0) {
    script->next = script_watches;
    script_watches = script;
  } else {
    script_release(&script->watch);
  }
  return JS_NewInt32(context, error);
}

/* unwatch(fd): also closes it. */
NATIVE(native_unwatch) {
  struct script_watch **link = &script_watches;
  while (*link != NULL && (*link)->watch.fd != integer(argv[0]))
    link = &(*link)->next;
  struct script_watch *script = *link;
  if (script != NULL) {
    *link = script->next;
    watch_end(&script->watch);
  }
  return JS_UNDEFINED;
}

NATIVE(native_power_off) { power_off(); }

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

static int module_init(JSContext *context, JSModuleDef *module) {
  return JS_SetModuleExportList(context, module, module_functions, COUNT(module_functions)) ||
         JS_SetModuleExportList(context, module, channel_functions, channel_function_count);
}

int native_module_register(const char *name) {
  JSModuleDef *module = JS_NewCModule(js, name, module_init);
  return module == NULL ||
         JS_AddModuleExportList(js, module, module_functions, COUNT(module_functions)) ||
         JS_AddModuleExportList(js, module, channel_functions, channel_function_count);
}
