/* The minimal PID 1 of `docker run --init`: starts the program, forwards signals, reaps orphans. */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* As a child reports a call (plan.c): instead of its place -1 for execve, -2 for fork. */
static _Noreturn void fail(int error_fd, int32_t what) {
  int32_t report[2] = {what, errno};
  _exit(write(error_fd, report, sizeof report) < 0 ? 126 : 127);
}

static _Noreturn void run_program(int error_fd, char **argv, const sigset_t *mask) {
  /* A process group of its own: Ctrl-C on the terminal must not reach the program twice. */
  setpgid(0, 0);
  signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(STDIN_FILENO, getpgrp());
  signal(SIGTTOU, SIG_DFL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  fcntl(error_fd, F_SETFD, FD_CLOEXEC);
  execve(argv[0], argv + 1, environ);
  fail(error_fd, -1);
}

/* argv: hyper-init, error descriptor, path of the program, its argv[0], further arguments. */
int container_init(char **argv) {
  int error_fd = atoi(argv[1]);
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t program = fork();
  if (program == 0)
    run_program(error_fd, argv + 2, &before);
  if (program < 0)
    fail(error_fd, -2);
  close(error_fd);
  for (;;) {
    int signal = sigwaitinfo(&all, NULL), status;
    pid_t ended;
    if (signal > 0 && signal != SIGCHLD)
      kill(program, signal);
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended == program)
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}
