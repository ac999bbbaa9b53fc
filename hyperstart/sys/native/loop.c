/* The event loop: one epoll set. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

static int epoll_fd;
static struct watch *dead_watches;

void loop_init(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGIO);
  /* Both are read from signalfds. */
  sigprocmask(SIG_BLOCK, &mask, NULL);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0)
    fatal("cannot create the event loop");
}

int watch_set(struct watch *watch, uint32_t events) {
  if (watch->dead || watch->events == events)
    return 0;
  struct epoll_event event = {.events = events, .data.ptr = watch};
  int operation = watch->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll_fd, operation, watch->fd, &event) != 0)
    return -errno;
  watch->events = events;
  return 0;
}

void watch_end(struct watch *watch) {
  watch_set(watch, 0);
  if (watch->fd >= 0)
    close(watch->fd);
  watch->dead = true;
  watch->next_dead = dead_watches;
  dead_watches = watch;
}

_Noreturn void loop_run(void) {
  struct epoll_event events[32];
  for (;;) {
    channel_flush();
    /* Only between batches: events of a batch may point to a watch that ended within it. */
    while (dead_watches != NULL) {
      struct watch *watch = dead_watches;
      dead_watches = watch->next_dead;
      watch->release(watch);
    }
    int count = epoll_wait(epoll_fd, events, COUNT(events), -1);
    if (count < 0 && errno != EINTR)
      fatal("the event loop is broken");
    for (int i = 0; i < count; i++) {
      struct watch *watch = events[i].data.ptr;
      if (!watch->dead)
        watch->ready(watch, events[i].events);
    }
  }
}
