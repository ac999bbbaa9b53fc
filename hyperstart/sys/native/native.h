/* What the C files of hyperstart share. One thread, one JavaScript context, one event loop. */
#ifndef HYPERSTART_NATIVE_H
#define HYPERSTART_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

extern JSContext *js;

/* main.c */

/* True in the process that is PID 1 of the VM, false in its children and in tests. */
extern bool is_machine_init;
/* Writes the text to the console as it is. */
void console_write(const char *text, size_t length);
/* Prints why hyperstart cannot go on and resets the VM, so that the host sees it end. */
_Noreturn void fatal(const char *reason);
/* The same for the pending JavaScript exception, with its stack. */
_Noreturn void fatal_exception(void);
_Noreturn void power_off(void);

/* loop.c */

/* A descriptor that the event loop listens to. Embed it first in a larger struct. */
struct watch {
  int fd;
  uint32_t events; /* what epoll has been told; 0: the descriptor is not in the set */
  void (*ready)(struct watch *watch, uint32_t events);
  void (*release)(struct watch *watch); /* frees the memory around it */
  bool dead;
  struct watch *next_dead;
};

void loop_init(void);
/* Never returns: dispatches events, then runs JavaScript jobs, then lets the channel write. */
_Noreturn void loop_run(void);
/* 0 takes the descriptor out of the set: EPOLLHUP cannot be masked otherwise. Returns 0 or -errno. */
int watch_set(struct watch *watch, uint32_t events);
/* Stops listening, closes fd when `close_fd`; memory is released when the loop holds no reference. */
void watch_end(struct watch *watch, bool close_fd);
/* Calls a JavaScript function and then the jobs it queued; an exception is fatal. */
void call_javascript(JSValueConst function, int argc, JSValueConst *argv);

/* module.c */
int native_module_register(const char *name);

/* channel.c */
extern const JSCFunctionListEntry channel_functions[];
extern const int channel_function_count;
void channel_flush(void);

/* init.c */
/* `docker run --init`: argv is hyper-init, error descriptor, program, its arguments. */
int container_init(char **argv);

#endif
