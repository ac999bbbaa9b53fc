/* What the C files of hyperstart share. One thread, one JavaScript context, one event loop. */
#ifndef HYPERSTART_NATIVE_H
#define HYPERSTART_NATIVE_H

#include <stdbool.h>
#include <time.h>

#include "quickjs.h"

/* A function that JavaScript calls; its types are checked by TypeScript (native.ts), not here. */
#define NATIVE(name) \
  JSValue name(JSContext *context, JSValueConst this, int argc, JSValueConst *argv)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

extern JSContext *js;

/* main.c */

/* True in the process that is PID 1 of the VM, false in tests. */
extern bool is_machine_init;
/* The program has been loaded, and this process is what it runs in. */
extern bool has_begun;
/* When this process began to run, by the clock of the kernel's start. */
extern struct timespec started;
/* Prints why hyperstart cannot go on and resets the VM, so that the host sees it end. */
_Noreturn void fatal(const char *reason);
/* The same for the pending JavaScript exception, with its stack. */
_Noreturn void fatal_exception(void);
/* Calls a JavaScript function and then the jobs it queued; an exception is fatal. Frees `argument`. */
void call_javascript(JSValueConst function, JSValue argument);

/* memory.c */
extern const JSMallocFunctions engine_memory;
/* The program has been loaded: what is taken from now on is not part of the snapshot. */
void memory_is_loaded(void);

/* loop.c */

/* A descriptor that the event loop listens to. Comes first in a larger struct. */
struct watch {
  int fd;
  uint32_t events; /* what epoll has been told; 0: the descriptor is not in the set */
  void (*ready)(struct watch *watch, uint32_t events);
};

void loop_init(void);
/* Never returns: lets the channel write, waits, dispatches an event. */
_Noreturn void loop_run(void);
/* 0 takes the descriptor out of the set: EPOLLHUP cannot be masked otherwise. Returns 0 or -errno. */
int watch_set(struct watch *watch, uint32_t events);

/* module.c */
int native_module_register(const char *name);
int integer(JSValueConst value);

/* snapshot.c */

/* For buffers in which nothing is when the program has been loaded: the snapshot is without them. */
#define SCRATCH __attribute__((section(".bss.scratch")))
/* The exit code. */
int write_snapshot(const char *path);

/* calls.c */
/* The result, or -errno. */
int64_t system_call(int64_t number, const int64_t arguments[6]);

/* The wire: both ends are little endian. */
enum { header_bytes = 12 };
enum { frame_message = 1, frame_data, frame_credit, frame_eof, frame_reset, frame_shared };
struct header {
  uint32_t length, stream_id;
  uint8_t type, zero[3];
};

/* channel.c */
void channel_flush(void);
/* Without a session the frame is dropped: nobody could understand it. */
void queue_frame(uint8_t type, uint32_t stream_id, const void *bytes, size_t length);

/* stream.c */
void stream_begin_session(void);
/* The memory that this session's host shares (protocol/frame.ts), or NULL. */
void stream_share(uint8_t *memory);
/* Why the host may not send such a stream frame, or NULL. */
const char *stream_refusal(const struct header *header);
/* Bytes of a data frame, as they come. */
void stream_take(uint32_t id, const uint8_t *bytes, size_t length);
/* The frame is there, with its payload unless that is data. What is wrong with it, or NULL. */
const char *stream_end_frame(const struct header *header, const uint32_t *payload);
/* Queues the next data or EOF frame of the next stream in turn; false when there is none. */
bool stream_queue_next(void);
/* A source at its end of which the host has all, told once; 0 when there is none. */
uint32_t stream_next_drained(void);

/* init.c */
/* `docker run --init`: argv is hyper-init, error descriptor, program, its arguments. */
int container_init(char **argv);

/* rehearse.c */
/* The exit code. */
int rehearse(void);
/* What a rehearsal says at its end, and a child of it. */
int answer_rehearsal(void);

/* What TypeScript may call (native.ts): its name there, how many arguments, and where it is. */
#define NATIVE_FUNCTIONS(ENTRY) \
  ENTRY(call, 1, native_call) \
  ENTRY(spawn, 4, native_spawn) \
  ENTRY(encodeText, 1, native_encode_text) \
  ENTRY(decodeText, 3, native_decode_text) \
  ENTRY(addressOf, 1, native_address_of) \
  ENTRY(listen, 2, native_listen) \
  ENTRY(begin, 1, native_begin) \
  ENTRY(startedMs, 0, native_started_ms) \
  ENTRY(powerOff, 0, native_power_off) \
  ENTRY(channelOpen, 5, channel_open) \
  ENTRY(channelAttach, 1, channel_attach) \
  ENTRY(channelCheck, 0, channel_check) \
  ENTRY(channelAccept, 1, channel_accept) \
  ENTRY(channelSend, 1, channel_send) \
  ENTRY(channelAdd, 4, channel_add) \
  ENTRY(channelRemove, 1, channel_remove) \
  ENTRY(channelIsAtEnd, 1, channel_is_at_end)
#define DECLARE(name, count, function) NATIVE(function);
NATIVE_FUNCTIONS(DECLARE)

#endif
