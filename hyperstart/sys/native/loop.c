/* The event loop: one epoll set. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

static int epoll_fd;

void loop_init(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGPIPE);
  /* These two are read from signalfds. */
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGIO);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0)
    fatal("cannot create the event loop");
}

int watch_set(struct watch *watch, uint32_t events) {
  if (watch->events == events)
    return 0;
  struct epoll_event event = {.events = events, .data.ptr = watch};
  int operation = watch->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll_fd, operation, watch->fd, &event) != 0)
    return -errno;
  watch->events = events;
  return 0;
}

_Noreturn void loop_run(void) {
  for (;;) {
    channel_flush();
    /* One event at a time: what it leads to may end the watch that a second one belongs to. */
    struct epoll_event event;
    int count = epoll_wait(epoll_fd, &event, 1, -1);
    if (count < 0 && errno != EINTR)
      fatal("the event loop is broken");
    struct watch *watch = event.data.ptr;
    if (count > 0)
      watch->ready(watch, event.events);
  }
}
