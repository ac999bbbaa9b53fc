/* Calls of QEMU into its libraries that come here first. */
#define _GNU_SOURCE
#include "vm-fork.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC visibility push(default)

/* QEMU's threads block every signal; the one that parks them has to get through. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *former) {
  static int (*real)(int, const sigset_t *, sigset_t *);
  sigset_t allowed;
  if (real == NULL)
    real = dlsym(RTLD_NEXT, "pthread_sigmask");
  if (set != NULL && how != SIG_UNBLOCK) {
    allowed = *set;
    sigdelset(&allowed, SIGRTMAX);
    set = &allowed;
  }
  return real(how, set, former);
}

static void *filter;

/* The filter of `-sandbox` forbids forks: each child gets it, the parent runs no guest of anybody's. */
int seccomp_load(void *context) {
  filter = context;
  return 0;
}

/* The children need it still. */
void seccomp_release(void *context) { (void)context; }

/* Without io_uring QEMU polls: the kernel's side of a ring cannot be forked. */
int io_uring_queue_init(unsigned entries, void *ring, unsigned flags) {
  (void)entries, (void)ring, (void)flags;
  return -ENOSYS;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  int result = (int)syscall(SYS_ioctl, fd, request, argument);
  if (result == 0)
    note_tap_request(request, argument);
  return result;
}

#pragma GCC visibility pop

bool load_filter(void) {
  if (filter == NULL)
    return true;
  int (*load)(void *) = dlsym(RTLD_NEXT, "seccomp_load");
  int result = load == NULL ? -ENOSYS : load(filter);
  errno = -result;
  return result == 0;
}
