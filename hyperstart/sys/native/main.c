/* Entry: prepares PID 1, lets the program begin, enters the event loop. */
#include "native.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

extern const uint8_t hyperstart_bytecode[];
extern const uint32_t hyperstart_bytecode_size;

JSContext *js;
bool is_machine_init;
bool has_begun;
struct timespec started;

/* stderr is the kernel's console. After it a reset, not a power-off: by that the host knows a crash. */
_Noreturn void fatal(const char *reason) {
  dprintf(STDERR_FILENO, "hyperstart: fatal: %s\n", reason);
  if (is_machine_init)
    reboot(RB_AUTOBOOT);
  _exit(70);
}

static _Noreturn void fatal_value(JSValueConst value) {
  const char *text = JS_ToCString(js, value);
  JSValue stack = JS_IsError(js, value) ? JS_GetPropertyStr(js, value, "stack") : JS_UNDEFINED;
  const char *trace = JS_IsString(stack) ? JS_ToCString(js, stack) : NULL;
  char report[4096];
  snprintf(report, sizeof report, "%s\n%s", text ? text : "unknown", trace ? trace : "");
  fatal(report);
}

_Noreturn void fatal_exception(void) { fatal_value(JS_GetException(js)); }

/* powerOff() */
NATIVE(native_power_off) {
  if (is_machine_init)
    reboot(RB_POWER_OFF);
  _exit(0);
}

/* Rejected promises without a handler: one may still come before the jobs have run dry. */
static int rejected_count;
static JSValue first_reason;

static void on_rejection(JSContext *context, JSValueConst promise, JSValueConst reason,
                         JS_BOOL is_handled, void *opaque) {
  rejected_count += is_handled ? -1 : 1;
  if (is_handled || rejected_count > 1)
    return;
  JS_FreeValue(context, first_reason);
  first_reason = JS_DupValue(context, reason);
}

/* Of a call or a module: its result is of no interest, an exception is. */
static void finish(JSValue result) {
  JSContext *context;
  int ran = JS_IsException(result) ? -1 : 1;
  while (ran > 0)
    ran = JS_ExecutePendingJob(JS_GetRuntime(js), &context);
  if (ran < 0)
    fatal_exception();
  if (rejected_count > 0)
    fatal_value(first_reason);
  JS_FreeValue(js, result);
}

void call_javascript(JSValueConst function, JSValue argument) {
  finish(JS_Call(js, function, JS_UNDEFINED, 1, &argument));
  JS_FreeValue(js, argument);
}

static void on_crash(int signal) {
  fatal(strsignal(signal));
}

static void catch_crashes(void) {
  static char stack[16384];
  static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternative, NULL);
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_RESETHAND};
  for (size_t i = 0; i < COUNT(crashes); i++)
    sigaction(crashes[i], &action, NULL);
}

static JSValue program;

/* begin(callback) */
NATIVE(native_begin) {
  program = JS_DupValue(context, argv[0]);
  return JS_UNDEFINED;
}

/* Loads the bytecode that qjsc made. */
static void load_program(void) {
  JSRuntime *runtime = JS_NewRuntime2(&engine_memory, NULL);
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
  JSValue module =
      JS_ReadObject(js, hyperstart_bytecode, hyperstart_bytecode_size, JS_READ_OBJ_BYTECODE);
  if (native_module_register("hyper:native") != 0 || JS_IsException(module) ||
      JS_ResolveModule(js, module) < 0)
    fatal_exception();
  finish(JS_EvalFunction(js, module));
  if (!JS_IsFunction(js, program))
    fatal("the program has nothing to begin with");
  memory_is_loaded();
}

int main(int argc, char **argv) {
  clock_gettime(CLOCK_BOOTTIME, &started);
  if (argc >= 3 && strcmp(argv[0], "hyper-init") == 0)
    return container_init(argv);
  if (argc == 2 && strcmp(argv[1], "rehearse") == 0)
    return rehearse();
  if (argc == 2 && strcmp(argv[1], "answer") == 0)
    return answer_rehearsal();
  if (js == NULL) {
    load_program();
    return argc == 2 ? write_snapshot(argv[1]) : 1;
  }
  is_machine_init = getpid() == 1;
  if (is_machine_init)
    catch_crashes();
  loop_init();
  JS_UpdateStackTop(JS_GetRuntime(js));
  has_begun = true;
  call_javascript(program, JS_UNDEFINED);
  loop_run();
}
