/*
 * What a new process does up to execve: system calls that TypeScript has planned (call-plan.ts). The
 * process shares the memory of its parent, so that nothing is copied for it; it therefore runs nothing
 * but this: no JavaScript, no allocator, nothing of libc that has state.
 */
#include "native.h"

#include <signal.h>
#include <sys/syscall.h>

#include <linux/sched.h>

/* A plan is an array of these; JavaScript's numbers hold every one of our arguments. */
struct planned_call {
  double number, arguments[6];
  double tolerated;                            /* a bit for each error number that is no failure */
  double skip_after_success, skip_after_error; /* how many of the next calls are left out */
};
static const struct planned_call *plan;
static size_t plan_length;
static int report_fd;

/* As an argument: what the last call that succeeded has returned. */
static const double last_result = 1LL << 52;

/* Ends in a call that runs a program, or with a report of the call that failed. */
static __attribute__((used)) _Noreturn void run_plan(void) {
  int64_t arguments[6], last = 0, error = 0;
  size_t at;
  for (at = 0; at < plan_length; at++) {
    const struct planned_call *call = &plan[at];
    for (size_t i = 0; i < COUNT(arguments); i++)
      arguments[i] = call->arguments[i] == last_result ? last : (int64_t)call->arguments[i];
    int64_t result = system_call((int64_t)call->number, arguments);
    if (result < 0 && (result <= -53 || !((int64_t)call->tolerated >> -result & 1))) {
      error = -result;
      break;
    }
    last = result < 0 ? last : result;
    at += (size_t)(result < 0 ? call->skip_after_error : call->skip_after_success);
  }
  int32_t report[2] = {(int32_t)at, (int32_t)error};
  system_call(SYS_write, (int64_t[6]){report_fd, (intptr_t)report, sizeof report});
  for (;;)
    system_call(SYS_exit_group, (int64_t[6]){127});
}

/* clone3 onto a stack of its own: the child comes out of the kernel there, and goes on in run_plan. */
static int64_t start_child(struct clone_args *clone) {
  static _Alignas(16) uint8_t stack[16384];
  int64_t result;
  clone->stack = (uintptr_t)stack;
  clone->stack_size = sizeof stack;
  __asm__ volatile("syscall\n\ttest %0, %0\n\tjnz 1f\n\tcall run_plan\n1:"
                   : "=a"(result)
                   : "a"((int64_t)SYS_clone3), "D"(clone), "S"(sizeof *clone)
                   : "rcx", "r11", "memory");
  return result;
}

/*
 * spawn(flags, cgroupFd, reportFd, plan): a child by clone3, in a cgroup unless cgroupFd is -1, which
 * carries the plan out; its pid or -errno. The plan and what it points to must live until the child has
 * run its program or ended: then reportFd, which closes on exec, is closed.
 */
NATIVE(native_spawn) {
  size_t size;
  int64_t flags = 0, cgroup_fd = integer(argv[1]);
  JS_ToInt64(context, &flags, argv[0]);
  report_fd = integer(argv[2]);
  plan = (const struct planned_call *)JS_GetArrayBuffer(context, &size, argv[3]);
  if (plan == NULL)
    return JS_EXCEPTION;
  plan_length = size / sizeof *plan;
  flags |= CLONE_VM | (int64_t)CLONE_CLEAR_SIGHAND;
  flags |= cgroup_fd < 0 ? 0 : (int64_t)CLONE_INTO_CGROUP;
  struct clone_args clone = {
      .flags = (uint64_t)flags, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup_fd};
  return JS_NewInt64(context, start_child(&clone));
}
