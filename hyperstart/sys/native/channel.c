/*
 * The frame pump: one control port, many streams. Bulk bytes go from descriptor to ring to port and back
 * without JavaScript; messages go to and from JavaScript whole. protocol/frame.ts has the rules.
 *
 * Of a source (guest to host) the ring holds what the host has not acknowledged: it is the
 * retransmission buffer, and a full ring stops the reading and so the writer.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
  header_bytes = 12,
  max_message = 1024 * 1024,
  max_data = 32 * 1024,
  window = 256 * 1024,
  /* A sink may hold the rest of an earlier session besides a full window of this one. */
  sink_capacity = 2 * window,
  /* More than this unsent means that the host does not read: its session is over. */
  max_control = 4 * 1024 * 1024,
};
enum { frame_message = 1, frame_data, frame_credit, frame_eof, frame_reset };

static const uint8_t preamble[16] = "HYPER-AGENT\r\n\x1a\0\xff";

struct stream {
  struct watch watch;
  struct stream *next;
  uint32_t id;
  bool is_sink, is_terminal;
  bool at_end;         /* source: read to its end; sink: the host sent EOF */
  bool eof_sent;       /* source: in this session */
  bool drained;        /* source: JavaScript has been told */
  uint8_t *ring;
  /* Byte counters; the ring is used modulo its capacity: tail <= sent <= head. */
  uint64_t head, sent, tail;
  uint64_t session_start; /* sink: head when the session began; older bytes give no credit */
  uint64_t credited;      /* sink: up to here the host has its credit back */
};

static struct stream *streams; /* in order of service: who was served goes to the end */

static struct watch port = {.fd = -1};
static bool port_connected;

static enum { awaiting_preamble, awaiting_accept, accepted } session;

static struct {
  uint8_t header[header_bytes];
  size_t have;        /* of the preamble, the header, or the message */
  size_t left;        /* payload bytes still to come; 0: at a header */
  uint32_t stream_id;
  uint8_t type;
  uint8_t *message;
} input;

static struct {
  uint8_t *bytes;
  size_t start, end, capacity;
} control;

/* One data frame in flight: the port takes whole buffers, so header and payload go together. */
static uint8_t staged[max_data];
static size_t staged_start, staged_end;

enum { on_session, on_message, on_disconnect, on_drained, on_error, handler_count };
static JSValue handlers[handler_count];

static uint32_t get_u32(const uint8_t *bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  for (int i = 0; i < 4; i++)
    bytes[i] = (uint8_t)(value >> 8 * i);
}

static void put_header(uint8_t *header, uint8_t type, uint32_t stream_id, size_t length) {
  memset(header, 0, header_bytes);
  put_u32(header, (uint32_t)length);
  put_u32(header + 4, stream_id);
  header[8] = type;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void end_session(void) {
  session = awaiting_preamble;
  free(input.message);
  memset(&input, 0, sizeof input);
  control.start = control.end = staged_start = staged_end = 0;
}

static void protocol_error(const char *reason) {
  end_session();
  JSValue text = JS_NewString(js, reason);
  call_javascript(handlers[on_error], 1, &text);
  JS_FreeValue(js, text);
}

/* Appends to the control queue; drops it without a session, where nobody could understand it. */
static void queue_bytes(const void *bytes, size_t length) {
  if (control.end + length > control.capacity && control.start > 0) {
    memmove(control.bytes, control.bytes + control.start, control.end - control.start);
    control.end -= control.start;
    control.start = 0;
  }
  if (control.end + length > control.capacity) {
    size_t capacity = control.capacity == 0 ? 4096 : control.capacity;
    while (capacity < control.end + length)
      capacity *= 2;
    uint8_t *larger = realloc(control.bytes, capacity);
    if (larger == NULL)
      fatal("no memory for the control queue");
    control.bytes = larger;
    control.capacity = capacity;
  }
  memcpy(control.bytes + control.end, bytes, length);
  control.end += length;
}

static void queue_frame(uint8_t type, uint32_t stream_id, const void *payload, size_t length) {
  uint8_t header[header_bytes];
  if (session != accepted)
    return;
  put_header(header, type, stream_id, length);
  queue_bytes(header, sizeof header);
  queue_bytes(payload, length);
}

static struct stream *find_stream(uint32_t id) {
  struct stream *stream = streams;
  while (stream != NULL && stream->id != id)
    stream = stream->next;
  return stream;
}

static void release_stream(struct watch *watch) {
  struct stream *stream = (struct stream *)watch;
  munmap(stream->ring, stream->is_sink ? sink_capacity : window);
  free(stream);
}

/* Closes the descriptor but keeps the stream, which may have bytes or an end to deliver. */
static void close_descriptor(struct stream *stream) {
  watch_set(&stream->watch, 0);
  if (stream->watch.fd >= 0)
    close(stream->watch.fd);
  stream->watch.fd = -1;
}

/* --- Sources: descriptor to host --- */

static void source_ready(struct watch *watch, uint32_t events) {
  struct stream *stream = (struct stream *)watch;
  (void)events;
  /* An empty ring starts over at its first page, so that little traffic touches little memory. */
  if (stream->head == stream->tail)
    stream->head = stream->sent = stream->tail = 0;
  size_t offset = stream->head % window;
  size_t room = smaller(window - (size_t)(stream->head - stream->tail), window - offset);
  if (room == 0)
    return;
  ssize_t got = read(stream->watch.fd, stream->ring + offset, room);
  if (got > 0) {
    stream->head += (uint64_t)got;
    if (stream->head - stream->tail == window)
      watch_set(watch, 0);
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    /* EIO is how a terminal says that its last process has gone. */
    stream->at_end = true;
    close_descriptor(stream);
  }
}

static void source_acknowledged(struct stream *stream, uint32_t count) {
  if (count > stream->sent - stream->tail) {
    protocol_error("credit for bytes that were not sent");
    return;
  }
  stream->tail += count;
  if (stream->watch.fd >= 0 && stream->head - stream->tail < window)
    watch_set(&stream->watch, EPOLLIN);
}

static bool source_has_work(const struct stream *stream) {
  return !stream->is_sink &&
         (stream->sent < stream->head || (stream->at_end && !stream->eof_sent));
}

/* Prepares the next data or EOF frame of the next stream in turn; false when there is none. */
static bool stage_frame(void) {
  struct stream **link = &streams;
  while (*link != NULL && !source_has_work(*link))
    link = &(*link)->next;
  struct stream *stream = *link;
  if (stream == NULL)
    return false;
  size_t length = smaller((size_t)(stream->head - stream->sent), max_data - header_bytes);
  size_t offset = stream->sent % window;
  size_t first = smaller(length, window - offset);
  put_header(staged, length > 0 ? frame_data : frame_eof, stream->id, length);
  memcpy(staged + header_bytes, stream->ring + offset, first);
  memcpy(staged + header_bytes + first, stream->ring, length - first);
  staged_start = 0;
  staged_end = header_bytes + length;
  stream->sent += length;
  stream->eof_sent = length == 0;
  *link = stream->next;
  while (*link != NULL)
    link = &(*link)->next;
  *link = stream;
  stream->next = NULL;
  return true;
}

static void report_drained(void) {
  struct stream *stream = streams;
  while (stream != NULL) {
    if (stream->is_sink || stream->drained || !stream->eof_sent || stream->head != stream->tail) {
      stream = stream->next;
      continue;
    }
    stream->drained = true;
    JSValue id = JS_NewUint32(js, stream->id);
    call_javascript(handlers[on_drained], 1, &id);
    /* The callback may have changed the list. */
    stream = streams;
  }
}

/* --- Sinks: host to descriptor --- */

static void sink_credit(struct stream *stream) {
  uint8_t payload[4];
  uint64_t from =
      stream->credited > stream->session_start ? stream->credited : stream->session_start;
  if (stream->tail <= from)
    return;
  /* Coalesced: a credit per eighth of the window, or when everything is written. */
  if (stream->tail - from < window / 8 && stream->tail < stream->head)
    return;
  put_u32(payload, (uint32_t)(stream->tail - from));
  queue_frame(frame_credit, stream->id, payload, sizeof payload);
  stream->credited = stream->tail;
}

static void sink_write(struct stream *stream) {
  while (stream->tail < stream->head) {
    size_t offset = stream->tail % sink_capacity;
    size_t length = smaller((size_t)(stream->head - stream->tail), sink_capacity - offset);
    ssize_t written = write(stream->watch.fd, stream->ring + offset, length);
    if (written < 0 && errno == EAGAIN)
      break;
    if (written < 0) {
      close_descriptor(stream);
      queue_frame(frame_reset, stream->id, NULL, 0);
      stream->tail = stream->head;
      return;
    }
    stream->tail += (uint64_t)written;
  }
  sink_credit(stream);
  if (stream->tail < stream->head) {
    watch_set(&stream->watch, EPOLLOUT);
    return;
  }
  watch_set(&stream->watch, 0);
  stream->head = stream->tail = stream->session_start = stream->credited = 0;
  if (stream->at_end && !stream->is_terminal)
    close_descriptor(stream);
}

static void sink_ready(struct watch *watch, uint32_t events) {
  (void)events;
  sink_write((struct stream *)watch);
}

/* Whether the announced data frame may come; a closed sink takes and discards it. */
static void sink_expect(struct stream *stream, size_t length) {
  uint64_t from =
      stream->credited > stream->session_start ? stream->credited : stream->session_start;
  if (stream->head - from + length > window)
    protocol_error("more data than the window allows");
  else if (stream->watch.fd < 0 || stream->head - stream->tail + length > sink_capacity) {
    close_descriptor(stream);
    queue_frame(frame_reset, stream->id, NULL, 0);
  }
}

static void sink_take(struct stream *stream, const uint8_t *bytes, size_t length) {
  if (stream->watch.fd < 0)
    return;
  size_t offset = stream->head % sink_capacity;
  size_t first = smaller(length, sink_capacity - offset);
  memcpy(stream->ring + offset, bytes, first);
  memcpy(stream->ring, bytes + first, length - first);
  stream->head += length;
}

/* --- Input: frames from the port --- */

static void begin_session(void) {
  end_session();
  session = awaiting_accept;
  for (struct stream *stream = streams; stream != NULL; stream = stream->next) {
    stream->sent = stream->tail;
    stream->eof_sent = false;
    stream->session_start = stream->head;
  }
  call_javascript(handlers[on_session], 0, NULL);
}

static void deliver_message(void) {
  JSValue text = JS_NewStringLen(js, (const char *)input.message, input.have);
  free(input.message);
  input.message = NULL;
  input.have = 0;
  call_javascript(handlers[on_message], 1, &text);
  JS_FreeValue(js, text);
}

/* Checks a whole header before anything is allocated for its payload. */
static void begin_frame(void) {
  uint32_t length = get_u32(input.header);
  input.stream_id = get_u32(input.header + 4);
  input.type = input.header[8];
  input.have = 0;
  struct stream *stream = find_stream(input.stream_id);
  if (input.header[9] | input.header[10] | input.header[11])
    return protocol_error("reserved header bytes are not zero");
  if ((input.type == frame_message) != (input.stream_id == 0))
    return protocol_error("frame type and stream id do not agree");
  if (input.type != frame_message && session != accepted)
    return protocol_error("stream frame before the hello was answered");
  switch (input.type) {
  case frame_message:
    if (length == 0 || length > max_message)
      return protocol_error("message of a size that is not allowed");
    input.message = malloc(length);
    if (input.message == NULL)
      fatal("no memory for a message");
    break;
  case frame_data:
    if (length == 0 || length > max_data)
      return protocol_error("data frame of a size that is not allowed");
    if (stream == NULL)
      queue_frame(frame_reset, input.stream_id, NULL, 0);
    else if (!stream->is_sink || stream->at_end)
      return protocol_error("data for a stream that takes none");
    else
      sink_expect(stream, length);
    break;
  case frame_credit:
    if (length != 4)
      return protocol_error("credit without its count");
    break;
  case frame_eof:
  case frame_reset:
    if (length != 0)
      return protocol_error("payload in a frame that has none");
    if (stream != NULL && input.type == frame_eof && stream->is_sink) {
      stream->at_end = true;
      if (stream->watch.fd >= 0)
        sink_write(stream);
    } else if (stream != NULL && input.type == frame_reset && !stream->is_sink) {
      close_descriptor(stream);
      stream->at_end = true;
      stream->sent = stream->tail = stream->head;
    }
    break;
  default:
    return protocol_error("unknown frame type");
  }
  /* Not after an error: that has set the input back. */
  if (session != awaiting_preamble)
    input.left = length;
}

static void take_payload(const uint8_t *bytes, size_t length) {
  struct stream *stream = find_stream(input.stream_id);
  input.left -= length;
  if (input.type == frame_message) {
    memcpy(input.message + input.have, bytes, length);
    input.have += length;
    if (input.left == 0)
      deliver_message();
  } else if (input.type == frame_data) {
    if (stream != NULL)
      sink_take(stream, bytes, length);
    if (stream != NULL && input.left == 0 && stream->watch.fd >= 0)
      sink_write(stream);
  } else {
    memcpy(input.header + input.have, bytes, length);
    input.have += length;
    if (input.left > 0)
      return;
    input.have = 0;
    if (stream != NULL && !stream->is_sink)
      source_acknowledged(stream, get_u32(input.header));
  }
}

static void take_input(const uint8_t *bytes, size_t length) {
  while (length > 0) {
    size_t used = 1;
    if (session == awaiting_preamble) {
      /* The first byte occurs nowhere else in the preamble, so a mismatch starts over simply. */
      input.have = *bytes == preamble[input.have] ? input.have + 1 : *bytes == preamble[0];
      if (input.have == sizeof preamble)
        begin_session();
    } else if (input.left > 0) {
      used = smaller(length, input.left);
      take_payload(bytes, used);
    } else {
      used = smaller(length, header_bytes - input.have);
      memcpy(input.header + input.have, bytes, used);
      input.have += used;
      if (input.have == header_bytes) {
        /* Where a header is due, a preamble is the next host: the change was too quick to be seen. */
        if (memcmp(input.header, preamble, header_bytes) == 0) {
          end_session();
          input.have = header_bytes;
        } else {
          begin_frame();
        }
      }
    }
    bytes += used;
    length -= used;
  }
}

/* --- The port --- */

/* SIGIO tells of a coming host, and is wanted only then: it would come with every input too. */
static void port_listen(bool connected) {
  port_connected = connected;
  fcntl(port.fd, F_SETFL, O_NONBLOCK | (connected ? 0 : O_ASYNC));
  watch_set(&port, connected ? EPOLLIN : 0);
}

static void port_check(void) {
  struct pollfd state = {.fd = port.fd, .events = POLLIN};
  if (!port_connected && poll(&state, 1, 0) >= 0 && !(state.revents & (POLLHUP | POLLERR)))
    port_listen(true);
}

static void port_lost(void) {
  bool had_session = session != awaiting_preamble;
  end_session();
  port_listen(false);
  /* The next host may have come before SIGIO was armed. */
  port_check();
  if (had_session)
    call_javascript(handlers[on_disconnect], 0, NULL);
}

static void port_ready(struct watch *watch, uint32_t events) {
  static uint8_t buffer[16384];
  (void)watch;
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    return;
  /* Bounded, so that the streams get their turn. */
  for (int i = 0; i < 16; i++) {
    ssize_t got = read(port.fd, buffer, sizeof buffer);
    if (got < 0 && errno == EAGAIN)
      return;
    if (got <= 0)
      return port_lost();
    take_input(buffer, (size_t)got);
  }
}

static void signal_ready(struct watch *watch, uint32_t events) {
  struct signalfd_siginfo info;
  (void)events;
  while (read(watch->fd, &info, sizeof info) > 0)
    ;
  port_check();
}

/* Writes what is queued; false when the port takes no more for now. */
static bool write_queued(void) {
  while (session == accepted) {
    bool is_staged = staged_start < staged_end;
    if (!is_staged && control.start == control.end) {
      if (!stage_frame())
        return true;
      continue;
    }
    const uint8_t *from = is_staged ? staged + staged_start : control.bytes + control.start;
    size_t length = is_staged ? staged_end - staged_start : control.end - control.start;
    ssize_t written = write(port.fd, from, length);
    if (written < 0 && errno == EAGAIN)
      return false;
    if (written < 0) {
      port_lost();
      return true;
    }
    *(is_staged ? &staged_start : &control.start) += (size_t)written;
  }
  return true;
}

void channel_flush(void) {
  if (port.fd < 0)
    return;
  bool has_room;
  do {
    has_room = write_queued();
    /* JavaScript may answer the end of a stream by a message: that must not wait for the next event. */
    report_drained();
  } while (has_room && session == accepted && control.start < control.end);
  if (control.end - control.start > max_control)
    protocol_error("the host does not read");
  if (port_connected)
    watch_set(&port, EPOLLIN | (has_room ? 0 : EPOLLOUT));
}

/* --- What JavaScript calls --- */

/* channelOpen(onSession, onMessage, onDisconnect, onDrained, onError) */
static JSValue channel_open(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  for (int i = 0; i < handler_count; i++)
    handlers[i] = JS_DupValue(context, argv[i]);
  return JS_UNDEFINED;
}

/* channelAttach(fd): the port has appeared. 0 or -errno. */
static JSValue channel_attach(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  static struct watch signals;
  sigset_t mask;
  if (JS_ToInt32(context, &port.fd, argv[0]))
    return JS_EXCEPTION;
  port.ready = port_ready;
  sigemptyset(&mask);
  sigaddset(&mask, SIGIO);
  signals.fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  signals.ready = signal_ready;
  fcntl(port.fd, F_SETOWN, getpid());
  port_listen(false);
  port_check();
  return JS_NewInt32(context, watch_set(&signals, EPOLLIN));
}

static void queue_message(const char *text, size_t length) {
  queue_frame(frame_message, 0, text, length);
}

/* channelAccept(text), channelSend(text): 0, or -EMSGSIZE */
static JSValue channel_text(JSContext *context, JSValueConst this, int argc, JSValueConst *argv,
                            int is_hello) {
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, argv[0]);
  if (text == NULL)
    return JS_EXCEPTION;
  int error = length == 0 || length > max_message ? -EMSGSIZE : 0;
  if (error == 0 && is_hello && session == awaiting_accept) {
    session = accepted;
    queue_bytes(preamble, sizeof preamble);
    queue_message(text, length);
  } else if (error == 0 && !is_hello) {
    queue_message(text, length);
  }
  JS_FreeCString(context, text);
  return JS_NewInt32(context, error);
}

/* channelAdd(streamId, fd, isSink, isTerminal): takes fd; 0 or -errno. */
static JSValue channel_add(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  uint32_t id;
  int fd;
  if (JS_ToUint32(context, &id, argv[0]) || JS_ToInt32(context, &fd, argv[1]))
    return JS_EXCEPTION;
  if (id == 0 || find_stream(id) != NULL)
    return JS_NewInt32(context, -EEXIST);
  struct stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL)
    return JS_NewInt32(context, -ENOMEM);
  stream->id = id;
  stream->is_sink = JS_ToBool(context, argv[2]);
  stream->is_terminal = JS_ToBool(context, argv[3]);
  stream->watch = (struct watch){
      .fd = fd, .ready = stream->is_sink ? sink_ready : source_ready, .release = release_stream};
  /* Mapped, not allocated: pages that are never used cost nothing. */
  stream->ring = mmap(NULL, stream->is_sink ? sink_capacity : window, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int error = stream->ring == MAP_FAILED ? -ENOMEM : 0;
  if (error == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    error = -errno;
  if (error == 0 && !stream->is_sink)
    error = watch_set(&stream->watch, EPOLLIN);
  if (error != 0) {
    release_stream(&stream->watch);
    return JS_NewInt32(context, error);
  }
  struct stream **link = &streams;
  while (*link != NULL)
    link = &(*link)->next;
  *link = stream;
  return JS_NewInt32(context, 0);
}

/* channelRemove(streamId) */
static JSValue channel_remove(JSContext *context, JSValueConst this, int argc, JSValueConst *argv) {
  uint32_t id;
  if (JS_ToUint32(context, &id, argv[0]))
    return JS_EXCEPTION;
  for (struct stream **link = &streams; *link != NULL; link = &(*link)->next) {
    struct stream *stream = *link;
    if (stream->id != id)
      continue;
    *link = stream->next;
    watch_end(&stream->watch, true);
    break;
  }
  return JS_UNDEFINED;
}

/* channelIsAtEnd(streamId) */
static JSValue channel_is_at_end(JSContext *context, JSValueConst this, int argc,
                                 JSValueConst *argv) {
  uint32_t id;
  if (JS_ToUint32(context, &id, argv[0]))
    return JS_EXCEPTION;
  struct stream *stream = find_stream(id);
  return JS_NewBool(context, stream == NULL || stream->at_end);
}

const JSCFunctionListEntry channel_functions[] = {
    JS_CFUNC_DEF("channelOpen", 5, channel_open),
    JS_CFUNC_DEF("channelAttach", 1, channel_attach),
    JS_CFUNC_MAGIC_DEF("channelSend", 1, channel_text, 0),
    JS_CFUNC_MAGIC_DEF("channelAccept", 1, channel_text, 1),
    JS_CFUNC_DEF("channelAdd", 4, channel_add),
    JS_CFUNC_DEF("channelRemove", 1, channel_remove),
    JS_CFUNC_DEF("channelIsAtEnd", 1, channel_is_at_end),
};
const int channel_function_count = sizeof channel_functions / sizeof *channel_functions;
