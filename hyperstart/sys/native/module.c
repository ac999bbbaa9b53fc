/* The module hyper:native: raw system calls and the few things that cannot be made of them. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sched.h>

/* What TypeScript may call. Names, because the numbers differ between architectures. */
static const struct {
  const char *name;
  long number;
} system_calls[] = {
#define CALL(name) {#name, SYS_##name}
    CALL(bind), CALL(bpf), CALL(capset), CALL(chdir), CALL(chroot), CALL(clock_gettime),
    CALL(clock_settime), CALL(close), CALL(close_range), CALL(dup3), CALL(epoll_create1),
    CALL(epoll_ctl), CALL(epoll_pwait), CALL(execve), CALL(execveat), CALL(fchmodat), CALL(fchown),
    CALL(fchownat), CALL(fcntl), CALL(getdents64), CALL(ioctl), CALL(kill), CALL(mkdirat),
    CALL(mknodat), CALL(mount), CALL(openat), CALL(openat2), CALL(pidfd_getfd), CALL(pidfd_open),
    CALL(pipe2), CALL(pivot_root), CALL(ppoll), CALL(prctl), CALL(pread64), CALL(prlimit64),
    CALL(read), CALL(recvfrom), CALL(seccomp), CALL(sendto), CALL(setdomainname), CALL(setgroups),
    CALL(sethostname), CALL(setns), CALL(setresgid), CALL(setresuid), CALL(setsid), CALL(signalfd4),
    CALL(socket), CALL(statx), CALL(symlinkat), CALL(sync), CALL(timerfd_create),
    CALL(timerfd_settime), CALL(umask), CALL(umount2), CALL(uname), CALL(unlinkat), CALL(unshare),
    CALL(wait4), CALL(write),
#undef CALL
};

int integer(JSValueConst value) {
  int64_t number = 0;
  JS_ToInt64(js, &number, value);
  return (int)number;
}

/* Makes an argument of a system call; a `string` must be freed after it. Returns 0 or -errno. */
static int convert(JSContext *context, JSValueConst value, int64_t *argument, const char **string) {
  size_t size;
  if (JS_IsNumber(value)) {
    JS_ToInt64(context, argument, value);
  } else if (JS_IsString(value)) {
    *string = JS_ToCStringLen(context, &size, value);
    *argument = (intptr_t)*string;
    /* A NUL inside would make the kernel see another path than TypeScript has checked. */
    return *string != NULL && strlen(*string) == size ? 0 : -EINVAL;
  } else if (!JS_IsNull(value)) {
    *argument = (intptr_t)JS_GetArrayBuffer(context, &size, value);
    return *argument == 0 ? -EFAULT : 0;
  }
  return 0;
}

/* call(name, …): the result, or -errno as the kernel gives it. */
static NATIVE(native_call) {
  const char *name = JS_ToCString(context, argv[0]);
  long number = -1;
  for (size_t i = 0; name != NULL && i < COUNT(system_calls); i++) {
    if (strcmp(system_calls[i].name, name) == 0)
      number = system_calls[i].number;
  }
  JS_FreeCString(context, name);
  if (number < 0 || argc > 7)
    return JS_ThrowReferenceError(context, "no such system call");
  int64_t arguments[6] = {0};
  const char *strings[6] = {0};
  long result = 0;
  for (int i = 1; i < argc && result == 0; i++)
    result = convert(context, argv[i], &arguments[i - 1], &strings[i - 1]);
  if (result == 0) {
    result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                     arguments[5]);
    result = result == -1 ? -errno : result;
  }
  for (size_t i = 0; i < COUNT(strings); i++)
    JS_FreeCString(context, strings[i]);
  return JS_HasException(context) ? JS_EXCEPTION : JS_NewInt64(context, result);
}

/* decodeText(buffer, offset, length): invalid UTF-8 is replaced. */
static NATIVE(native_decode_text) {
  size_t size, offset = (uint32_t)integer(argv[1]), length = (uint32_t)integer(argv[2]);
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  if (bytes == NULL || offset > size || length > size - offset)
    return JS_ThrowRangeError(context, "decodeText: outside of the buffer");
  return JS_NewStringLen(context, (const char *)bytes + offset, length);
}

/* addressOf(buffer): for structs that hold pointers; valid while the ArrayBuffer lives. */
static NATIVE(native_address_of) {
  size_t size;
  const uint8_t *bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  return bytes == NULL ? JS_EXCEPTION : JS_NewInt64(context, (int64_t)(uintptr_t)bytes);
}

/*
 * fork(flags, cgroupFd, run): a child by clone3, in a cgroup unless cgroupFd is -1. The child has a copy
 * of the whole heap and calls `run`, which is to end in execve; the parent gets its pid or -errno.
 */
static NATIVE(native_fork) {
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
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (JS_IsException(JS_Call(context, argv[2], JS_UNDEFINED, 0, NULL)))
    fatal_exception();
  _exit(127);
}

static JSValue on_script_event;

static void script_ready(struct watch *watch, uint32_t events) {
  call_javascript(on_script_event, JS_UNDEFINED);
}

/* listen(fd, callback): calls back while the descriptor, TypeScript's own epoll set, is readable. */
static NATIVE(native_listen) {
  static struct watch script = {.ready = script_ready};
  script.fd = integer(argv[0]);
  on_script_event = JS_DupValue(context, argv[1]);
  return JS_NewInt32(context, watch_set(&script, EPOLLIN));
}

/* startedMs(): when this process began to run, in milliseconds since the kernel did. */
static NATIVE(native_started_ms) {
  return JS_NewFloat64(context, (double)started.tv_sec * 1e3 + (double)started.tv_nsec / 1e6);
}

static NATIVE(native_power_off) { power_off(); }

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("call", 1, native_call),
    JS_CFUNC_DEF("decodeText", 3, native_decode_text),
    JS_CFUNC_DEF("addressOf", 1, native_address_of),
    JS_CFUNC_DEF("fork", 3, native_fork),
    JS_CFUNC_DEF("listen", 2, native_listen),
    JS_CFUNC_DEF("startedMs", 0, native_started_ms),
    JS_CFUNC_DEF("powerOff", 0, native_power_off),
    JS_CFUNC_DEF("channelOpen", 5, channel_open),
    JS_CFUNC_DEF("channelAttach", 1, channel_attach),
    JS_CFUNC_DEF("channelCheck", 0, channel_check),
    JS_CFUNC_DEF("channelAccept", 0, channel_accept),
    JS_CFUNC_DEF("channelSend", 1, channel_send),
    JS_CFUNC_DEF("channelAdd", 4, channel_add),
    JS_CFUNC_DEF("channelRemove", 1, channel_remove),
    JS_CFUNC_DEF("channelIsAtEnd", 1, channel_is_at_end),
};

static int module_init(JSContext *context, JSModuleDef *module) {
  return JS_SetModuleExportList(context, module, functions, COUNT(functions));
}

int native_module_register(const char *name) {
  JSModuleDef *module = JS_NewCModule(js, name, module_init);
  return module == NULL ? -1 : JS_AddModuleExportList(js, module, functions, COUNT(functions));
}
