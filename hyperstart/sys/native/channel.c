/*
 * The frame pump: one control port, many streams. Bulk bytes go from descriptor to ring to port and back
 * without JavaScript; messages go to and from JavaScript whole. protocol/frame.ts has the rules.
 *
 * Of a source (guest to host) the ring holds what the host has not acknowledged: it is the
 * retransmission buffer, and a full window stops the reading and so the writer.
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
  ring_bytes = 2 * window,
  /* More than this unsent means that the host does not read: its session is over. */
  max_output = 4 * 1024 * 1024,
};
enum { frame_message = 1, frame_data, frame_credit, frame_eof, frame_reset };

static const uint8_t preamble[16] = "HYPER-AGENT\r\n\x1a\0\xff";

/* As on the wire: both ends are little endian. */
struct header {
  uint32_t length, stream_id;
  uint8_t type, zero[3];
};

struct stream {
  struct watch watch;
  struct stream *next;
  uint32_t id;
  bool is_sink, is_terminal;
  bool at_end;   /* source: read to its end; sink: the host sent EOF */
  bool eof_sent; /* source: in this session */
  bool drained;  /* source: JavaScript has been told */
  uint8_t *ring;
  /* Byte counters; the ring is used modulo its size. What is in it: tail to head. */
  uint64_t head, tail;
  uint64_t sent;     /* source: tail <= sent <= head */
  uint64_t credited; /* sink: up to here no credit is due, be it given or of an earlier session */
};

static struct stream *streams; /* in order of service: who was served goes to the end */

static struct watch port = {.fd = -1};
static bool port_connected;
static enum { awaiting_preamble, awaiting_accept, accepted } session;

/* What comes in. `have` counts bytes of the preamble, or of the header and then the payload. */
static struct header incoming;
static size_t have;

/* Memory that is not touched costs nothing, so the buffers are as large as they may have to be. */
static uint8_t payload[max_message]; /* of a message or credit */
/* What goes out: control frames, and a data frame only when there is nothing else, so none waits long. */
static uint8_t output[max_output];
static size_t output_start, output_end;
static bool output_overflow;

enum { on_session, on_message, on_disconnect, on_drained, on_error, handler_count };
static JSValue handlers[handler_count];

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void end_session(void) {
  session = awaiting_preamble;
  have = output_start = output_end = 0;
  output_overflow = false;
}

static void protocol_error(const char *reason) {
  end_session();
  call_javascript(handlers[on_error], JS_NewString(js, reason));
}

static void queue_bytes(const void *bytes, size_t length) {
  if (output_start == output_end || length > sizeof output - output_end) {
    memmove(output, output + output_start, output_end - output_start);
    output_end -= output_start;
    output_start = 0;
  }
  output_overflow |= length > sizeof output - output_end;
  if (output_overflow)
    return;
  memcpy(output + output_end, bytes, length);
  output_end += length;
}

/* Without a session the frame is dropped: nobody could understand it. */
static void queue_frame(uint8_t type, uint32_t stream_id, const void *bytes, size_t length) {
  struct header header = {.length = (uint32_t)length, .stream_id = stream_id, .type = type};
  if (session != accepted)
    return;
  queue_bytes(&header, header_bytes);
  queue_bytes(bytes, length);
}

static struct stream *find_stream(uint32_t id) {
  struct stream *stream = streams;
  while (stream != NULL && stream->id != id)
    stream = stream->next;
  return stream;
}

static void append_stream(struct stream *stream) {
  struct stream **link = &streams;
  while (*link != NULL)
    link = &(*link)->next;
  *link = stream;
  stream->next = NULL;
}

static void release_stream(struct watch *watch) {
  struct stream *stream = (struct stream *)watch;
  munmap(stream->ring, ring_bytes);
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
  /* An empty ring starts over at its first page, so that little traffic touches little memory. */
  if (stream->head == stream->tail)
    stream->head = stream->sent = stream->tail = 0;
  size_t offset = stream->head % ring_bytes;
  size_t room = smaller(window - (stream->head - stream->tail), ring_bytes - offset);
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
  if (count > stream->sent - stream->tail)
    return protocol_error("credit for bytes that were not sent");
  stream->tail += count;
  if (stream->watch.fd >= 0 && stream->head - stream->tail < window)
    watch_set(&stream->watch, EPOLLIN);
}

static bool source_has_work(const struct stream *stream) {
  return !stream->is_sink &&
         (stream->sent < stream->head || (stream->at_end && !stream->eof_sent));
}

/* Queues the next data or EOF frame of the next stream in turn; false when there is none. */
static bool queue_data(void) {
  struct stream **link = &streams;
  while (*link != NULL && !source_has_work(*link))
    link = &(*link)->next;
  struct stream *stream = *link;
  if (stream == NULL)
    return false;
  /* With its header it fills one buffer of the port. */
  size_t length = smaller(stream->head - stream->sent, max_data - header_bytes);
  size_t offset = stream->sent % ring_bytes;
  size_t first = smaller(length, ring_bytes - offset);
  uint8_t type = length > 0 ? frame_data : frame_eof;
  struct header header = {.length = (uint32_t)length, .stream_id = stream->id, .type = type};
  queue_bytes(&header, header_bytes);
  queue_bytes(stream->ring + offset, first);
  queue_bytes(stream->ring, length - first);
  stream->sent += length;
  stream->eof_sent = length == 0;
  *link = stream->next;
  append_stream(stream);
  return true;
}

static void report_drained(void) {
  struct stream *stream = streams;
  while (stream != NULL) {
    if (!stream->is_sink && !stream->drained && stream->eof_sent && stream->head == stream->tail) {
      stream->drained = true;
      call_javascript(handlers[on_drained], JS_NewUint32(js, stream->id));
      stream = streams; /* JavaScript may have changed the list */
    } else {
      stream = stream->next;
    }
  }
}

/* --- Sinks: host to descriptor --- */

/* Nobody reads any more: the host is told, now and at whatever it still sends. */
static void sink_broken(struct stream *stream) {
  close_descriptor(stream);
  queue_frame(frame_reset, stream->id, NULL, 0);
  stream->tail = stream->head;
}

static void sink_write(struct stream *stream) {
  while (stream->tail < stream->head) {
    size_t offset = stream->tail % ring_bytes;
    size_t length = smaller(stream->head - stream->tail, ring_bytes - offset);
    ssize_t written = write(stream->watch.fd, stream->ring + offset, length);
    if (written < 0 && errno == EAGAIN)
      break;
    if (written < 0)
      return sink_broken(stream);
    stream->tail += (uint64_t)written;
  }
  bool is_empty = stream->tail == stream->head;
  /* Coalesced: a credit per eighth of the window, or when everything is written. */
  if (stream->tail > stream->credited &&
      (is_empty || stream->tail - stream->credited >= window / 8)) {
    uint32_t count = (uint32_t)(stream->tail - stream->credited);
    queue_frame(frame_credit, stream->id, &count, sizeof count);
    stream->credited = stream->tail;
  }
  watch_set(&stream->watch, is_empty ? 0 : EPOLLOUT);
  if (!is_empty)
    return;
  stream->head = stream->tail = stream->credited = 0;
  if (stream->at_end && !stream->is_terminal)
    close_descriptor(stream);
}

static void sink_ready(struct watch *watch, uint32_t events) {
  sink_write((struct stream *)watch);
}

static void sink_take(struct stream *stream, const uint8_t *bytes, size_t length) {
  size_t offset = stream->head % ring_bytes;
  size_t first = smaller(length, ring_bytes - offset);
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
    stream->credited = stream->head;
  }
  call_javascript(handlers[on_session], JS_UNDEFINED);
}

/* Why the host may not send such a frame, or NULL. */
static const char *refusal(const struct header *header, const struct stream *stream) {
  uint32_t length = header->length;
  if (header->zero[0] | header->zero[1] | header->zero[2])
    return "reserved header bytes are not zero";
  if ((header->type == frame_message) != (header->stream_id == 0))
    return "frame type and stream id do not agree";
  if (header->type != frame_message && session != accepted)
    return "stream frame before the hello was answered";
  switch (header->type) {
  case frame_message:
    return length == 0 || length > max_message ? "message of a size that is not allowed" : NULL;
  case frame_data:
    if (length == 0 || length > max_data)
      return "data frame of a size that is not allowed";
    if (stream != NULL && (!stream->is_sink || stream->at_end))
      return "data for a stream that takes none";
    if (stream != NULL && stream->head - stream->credited + length > window)
      return "more data than the window allows";
    return NULL;
  case frame_credit:
    return length != 4 ? "credit without its count" : NULL;
  case frame_eof:
  case frame_reset:
    return length != 0 ? "payload in a frame that has none" : NULL;
  default:
    return "unknown frame type";
  }
}

static void begin_frame(void) {
  struct stream *stream = find_stream(incoming.stream_id);
  /* Where a header is due, a preamble is the next host: the change was too quick to be seen. */
  if (memcmp(&incoming, preamble, header_bytes) == 0) {
    end_session();
    have = header_bytes;
    return;
  }
  const char *reason = refusal(&incoming, stream);
  if (reason != NULL)
    return protocol_error(reason);
  /* So much is left of earlier sessions only when nobody has read for several of them. */
  if (incoming.type == frame_data && stream != NULL &&
      stream->head - stream->tail + incoming.length > ring_bytes)
    sink_broken(stream);
}

static void end_frame(void) {
  struct stream *stream = find_stream(incoming.stream_id);
  bool is_sink = stream != NULL && stream->is_sink;
  bool is_source = stream != NULL && !stream->is_sink;
  have = 0;
  switch (incoming.type) {
  case frame_message:
    call_javascript(handlers[on_message],
                    JS_NewStringLen(js, (const char *)payload, incoming.length));
    break;
  case frame_data:
    if (is_sink && stream->watch.fd >= 0)
      sink_write(stream);
    else
      queue_frame(frame_reset, incoming.stream_id, NULL, 0);
    break;
  case frame_credit:
    if (is_source)
      source_acknowledged(stream, *(const uint32_t *)payload);
    break;
  case frame_eof:
    if (is_sink)
      stream->at_end = true;
    if (is_sink && stream->watch.fd >= 0)
      sink_write(stream);
    break;
  case frame_reset:
    if (is_source) {
      close_descriptor(stream);
      stream->at_end = true;
      stream->sent = stream->tail = stream->head;
    }
    break;
  }
}

static void take_payload(const uint8_t *bytes, size_t length) {
  struct stream *stream = find_stream(incoming.stream_id);
  if (incoming.type != frame_data)
    memcpy(payload + have - header_bytes, bytes, length);
  else if (stream != NULL && stream->watch.fd >= 0)
    sink_take(stream, bytes, length);
  have += length;
}

static void take_input(const uint8_t *bytes, size_t length) {
  while (length > 0) {
    size_t used = 1;
    if (session == awaiting_preamble) {
      /* The first byte occurs nowhere else in the preamble, so a mismatch starts over simply. */
      have = *bytes == preamble[have] ? have + 1 : *bytes == preamble[0];
      if (have == sizeof preamble)
        begin_session();
    } else if (have < header_bytes) {
      used = smaller(length, header_bytes - have);
      memcpy((uint8_t *)&incoming + have, bytes, used);
      have += used;
      if (have == header_bytes)
        begin_frame();
    } else {
      used = smaller(length, header_bytes + incoming.length - have);
      take_payload(bytes, used);
    }
    if (session != awaiting_preamble && have >= header_bytes &&
        have == header_bytes + incoming.length)
      end_frame();
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
    call_javascript(handlers[on_disconnect], JS_UNDEFINED);
}

static void port_ready(struct watch *watch, uint32_t events) {
  static uint8_t buffer[16384];
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
  while (read(watch->fd, &info, sizeof info) > 0)
    ;
  port_check();
}

/* Writes until there is nothing to write; false when the port takes no more for now. */
static bool write_output(void) {
  while (session == accepted && (output_start < output_end || queue_data())) {
    ssize_t written = write(port.fd, output + output_start, output_end - output_start);
    if (written < 0 && errno == EAGAIN)
      return false;
    if (written < 0)
      port_lost();
    else
      output_start += (size_t)written;
  }
  return true;
}

void channel_flush(void) {
  if (port.fd < 0)
    return;
  bool has_room;
  do {
    has_room = write_output();
    /* JavaScript may answer the end of a stream by a message: that must not wait for the next event. */
    report_drained();
  } while (has_room && session == accepted && output_start < output_end);
  if (output_overflow)
    protocol_error("the host does not read");
  if (port_connected)
    watch_set(&port, EPOLLIN | (has_room ? 0 : EPOLLOUT));
}

/* --- What JavaScript calls --- */

/* channelOpen(onSession, onMessage, onDisconnect, onDrained, onError) */
NATIVE(channel_open) {
  for (int i = 0; i < handler_count; i++)
    handlers[i] = JS_DupValue(context, argv[i]);
  return JS_UNDEFINED;
}

/* channelAttach(fd): the port has appeared. 0 or -errno. */
NATIVE(channel_attach) {
  static struct watch signals = {.ready = signal_ready};
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGIO);
  signals.fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  port.fd = integer(argv[0]);
  port.ready = port_ready;
  fcntl(port.fd, F_SETOWN, getpid());
  port_listen(false);
  port_check();
  return JS_NewInt32(context, watch_set(&signals, EPOLLIN));
}

/* channelAccept(text), channelSend(text): 0, or -EMSGSIZE */
static JSValue channel_text(JSContext *context, JSValueConst this, int argc, JSValueConst *argv,
                            int is_hello) {
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, argv[0]);
  bool fits = text != NULL && length > 0 && length <= max_message;
  if (fits && is_hello && session == awaiting_accept) {
    session = accepted;
    queue_bytes(preamble, sizeof preamble);
  }
  if (fits)
    queue_frame(frame_message, 0, text, length);
  JS_FreeCString(context, text);
  return JS_NewInt32(context, fits ? 0 : -EMSGSIZE);
}

/* channelAdd(streamId, fd, isSink, isTerminal): takes fd; 0 or -errno. */
NATIVE(channel_add) {
  uint32_t id = (uint32_t)integer(argv[0]);
  int fd = integer(argv[1]);
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
  stream->ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int error = stream->ring == MAP_FAILED ? -ENOMEM : 0;
  if (error == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    error = -errno;
  if (error == 0 && !stream->is_sink)
    error = watch_set(&stream->watch, EPOLLIN);
  if (error == 0)
    append_stream(stream);
  else
    release_stream(&stream->watch);
  return JS_NewInt32(context, error);
}

/* channelRemove(streamId) */
NATIVE(channel_remove) {
  struct stream *stream = find_stream((uint32_t)integer(argv[0])), **link = &streams;
  while (*link != stream)
    link = &(*link)->next;
  if (stream != NULL) {
    *link = stream->next;
    watch_end(&stream->watch);
  }
  return JS_UNDEFINED;
}

/* channelIsAtEnd(streamId) */
NATIVE(channel_is_at_end) {
  struct stream *stream = find_stream((uint32_t)integer(argv[0]));
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
const int channel_function_count = COUNT(channel_functions);
