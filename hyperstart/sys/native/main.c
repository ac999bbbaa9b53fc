/* Entry: prepares PID 1, loads the bytecode that qjsc made, enters the event loop. */
#include "native.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

extern const uint8_t hyperstart_bytecode[];
extern const uint32_t hyperstart_bytecode_size;

JSContext *js;
bool is_machine_init;

void console_write(const char *text, size_t length) {
  while (length > 0) {
    ssize_t written = write(STDERR_FILENO, text, length);
    if (written <= 0)
      return;
    text += written;
    length -= (size_t)written;
  }
}

/* A reset and not a power-off: the host tells a crash from a clean end by it. */
static _Noreturn void reset_machine(void) {
  if (is_machine_init)
    reboot(RB_AUTOBOOT);
  _exit(70);
}

_Noreturn void fatal(const char *reason) {
  console_write("hyperstart: fatal: ", 19);
  console_write(reason, strlen(reason));
  console_write("\n", 1);
  reset_machine();
}

static void print_value(JSValueConst value) {
  size_t length;
  const char *text = JS_ToCStringLen(js, &length, value);
  if (text == NULL)
    return;
  console_write(text, length);
  console_write("\n", 1);
  JS_FreeCString(js, text);
}

static _Noreturn void fatal_value(JSValueConst value) {
  console_write("hyperstart: fatal: ", 19);
  print_value(value);
  JSValue stack = JS_IsError(js, value) ? JS_GetPropertyStr(js, value, "stack") : JS_UNDEFINED;
  if (JS_IsString(stack))
    print_value(stack);
  reset_machine();
}

_Noreturn void fatal_exception(void) { fatal_value(JS_GetException(js)); }

_Noreturn void power_off(void) {
  if (is_machine_init)
    reboot(RB_POWER_OFF);
  _exit(0);
}

/* Rejections without a handler yet. A handler may still come before the jobs have run dry. */
static struct rejection {
  JSValue promise, reason;
} rejections[64];
static size_t rejection_count;

static void on_rejection(JSContext *context, JSValueConst promise, JSValueConst reason,
                         JS_BOOL is_handled, void *opaque) {
  (void)opaque;
  if (!is_handled) {
    if (rejection_count == sizeof rejections / sizeof *rejections)
      fatal_value(reason);
    rejections[rejection_count++] =
        (struct rejection){JS_DupValue(context, promise), JS_DupValue(context, reason)};
    return;
  }
  for (size_t i = 0; i < rejection_count; i++) {
    if (JS_VALUE_GET_PTR(rejections[i].promise) != JS_VALUE_GET_PTR(promise))
      continue;
    JS_FreeValue(context, rejections[i].promise);
    JS_FreeValue(context, rejections[i].reason);
    rejections[i] = rejections[--rejection_count];
    return;
  }
}

static void run_jobs(void) {
  JSContext *context;
  int ran;
  while ((ran = JS_ExecutePendingJob(JS_GetRuntime(js), &context)) > 0)
    ;
  if (ran < 0)
    fatal_exception();
  if (rejection_count > 0)
    fatal_value(rejections[0].reason);
}

void call_javascript(JSValueConst function, int argc, JSValueConst *argv) {
  JSValue result = JS_Call(js, function, JS_UNDEFINED, argc, argv);
  if (JS_IsException(result))
    fatal_exception();
  JS_FreeValue(js, result);
  run_jobs();
}

static void on_crash(int signal) {
  char text[64];
  snprintf(text, sizeof text, "crashed by signal %d (%s)", signal, strsignal(signal));
  fatal(text);
}

static void catch_crashes(void) {
  static char stack[16384];
  static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternative, NULL);
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_RESETHAND};
  for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
    sigaction(crashes[i], &action, NULL);
}

/*
 * pivot_root refuses to work from the kernel's first root (an initramfs has no parent mount), and
 * containers shall have it: so put a bind mount of the root over the root and live in that.
 */
static void leave_first_root(void) {
  if (mkdir("/.root", 0700) != 0 || mount("/", "/.root", NULL, MS_BIND, NULL) != 0 ||
      chdir("/.root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
      chdir("/") != 0 || rmdir("/.root") != 0)
    fatal("cannot move the initial root");
}

static void load_program(void) {
  JSRuntime *runtime = JS_NewRuntime();
  js = runtime == NULL ? NULL : JS_NewContextRaw(runtime);
  if (js == NULL)
    fatal("no memory for the JavaScript engine");
  /* No eval, no Proxy, no Unicode normalisation: nobody needs them and they cost size. */
  JS_AddIntrinsicBaseObjects(js);
  JS_AddIntrinsicDate(js);
  JS_AddIntrinsicRegExp(js);
  JS_AddIntrinsicJSON(js);
  JS_AddIntrinsicMapSet(js);
  JS_AddIntrinsicTypedArrays(js);
  JS_AddIntrinsicPromise(js);
  JS_SetHostPromiseRejectionTracker(runtime, on_rejection, NULL);
  if (native_module_register("hyper:native") != 0)
    fatal_exception();
  JSValue module =
      JS_ReadObject(js, hyperstart_bytecode, hyperstart_bytecode_size, JS_READ_OBJ_BYTECODE);
  if (JS_IsException(module) || JS_ResolveModule(js, module) < 0)
    fatal_exception();
  JSValue result = JS_EvalFunction(js, module);
  if (JS_IsException(result))
    fatal_exception();
  JS_FreeValue(js, result);
  run_jobs();
}

int main(int argc, char **argv) {
  if (argc >= 3 && strcmp(argv[0], "hyper-init") == 0)
    return container_init(argv);
  is_machine_init = getpid() == 1;
  signal(SIGPIPE, SIG_IGN);
  if (is_machine_init) {
    catch_crashes();
    leave_first_root();
  }
  loop_init();
  load_program();
  loop_run();
}
