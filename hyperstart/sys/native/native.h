/* What the C files of hyperstart share. One thread, one JavaScript context, one event loop. */
#ifndef HYPERSTART_NATIVE_H
#define HYPERSTART_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

/* A function that JavaScript calls; its types are checked by TypeScript (native.ts), not here. */
#define NATIVE(name) \
  static JSValue name(JSContext *context, JSValueConst this, int argc, JSValueConst *argv)
#define COUNT(array) (sizeof(array) / sizeof *(array))

extern JSContext *js;

/* main.c */

/* True in the process that is PID 1 of the VM, false in its children and in tests. */
extern bool is_machine_init;
/* Prints why hyperstart cannot go on and resets the VM, so that the host sees it end. */
_Noreturn void fatal(const char *reason);
/* The same for the pending JavaScript exception, with its stack. */
_Noreturn void fatal_exception(void);
_Noreturn void power_off(void);
/* Calls a JavaScript function and then the jobs it queued; an exception is fatal. Frees `argument`. */
void call_javascript(JSValueConst function, JSValue argument);

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
/* Never returns: lets the channel write, waits, dispatches events. */
_Noreturn void loop_run(void);
/* 0 takes the descriptor out of the set: EPOLLHUP cannot be masked otherwise. Returns 0 or -errno. */
int watch_set(struct watch *watch, uint32_t events);
/* Stops listening and closes; the memory is released when the loop holds no reference any more. */
void watch_end(struct watch *watch);

/* module.c */
int native_module_register(const char *name);
int integer(JSValueConst value);

/* channel.c */
extern const JSCFunctionListEntry channel_functions[];
extern const int channel_function_count;
void channel_flush(void);

/* init.c */
/* `docker run --init`: argv is hyper-init, error descriptor, program, its arguments. */
int container_init(char **argv);

#endif
