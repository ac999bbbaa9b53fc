/*
 * The frame pump's end of the wire: one control port, many streams (stream.c). Bulk bytes go from
 * descriptor to ring to port and back without JavaScript; messages go to and from JavaScript whole.
 * protocol/frame.ts has the rules.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  max_message = 1024 * 1024,
  /* More than this unsent means that the host does not read: its session is over. */
  max_output = 4 * 1024 * 1024,
  preamble_bytes = 16,
  late_news_s = 10,
};

static const uint8_t preamble_start[header_bytes] = "HYPER-AGENT\r";

static struct watch port = {.fd = -1};
static bool port_connected;
static enum { awaiting_preamble, awaiting_accept, accepted } session;
static uint8_t session_key[preamble_bytes - header_bytes];
/*
 * Bytes and connections are told by queues of their own: a host may be heard before the last one's hanging up
 * is known. For so long, in seconds since the kernel's start, that is taken for the last one's.
 */
static time_t late_news_until;

/* What comes in. `have` counts bytes of the preamble, or of the header and then the payload. */
static struct header incoming;
static size_t have;

/* Memory that is not touched costs nothing, so the buffers are as large as they may have to be. */
static SCRATCH uint8_t payload[max_message]; /* of a message or credit */
/* What goes out: control frames, and a data frame only when there is nothing else, so none waits long. */
static SCRATCH uint8_t output[max_output];
static size_t output_start, output_end;
static bool output_overflow;

enum { on_session, on_message, on_disconnect, on_drained, on_error, handler_count };
static JSValue handlers[handler_count];

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

void queue_frame(uint8_t type, uint32_t stream_id, const void *bytes, size_t length) {
  struct header header = {.length = (uint32_t)length, .stream_id = stream_id, .type = type};
  if (session != accepted)
    return;
  queue_bytes(&header, header_bytes);
  queue_bytes(bytes, length);
}

/* --- Input: frames from the port --- */

static void begin_session(void) {
  end_session();
  session = awaiting_accept;
  stream_begin_session();
  call_javascript(handlers[on_session], JS_UNDEFINED);
}

/* Why the host may not send such a frame, or NULL. */
static const char *refusal(const struct header *header) {
  if (header->zero[0] | header->zero[1] | header->zero[2])
    return "reserved header bytes are not zero";
  if ((header->type == frame_message) != (header->stream_id == 0))
    return "frame type and stream id do not agree";
  if (header->type == frame_message) {
    bool fits = header->length > 0 && header->length <= max_message;
    return fits ? NULL : "message of a size that is not allowed";
  }
  return session == accepted ? stream_refusal(header)
                             : "stream frame before the hello was answered";
}

static time_t uptime_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

static void begin_frame(void) {
  /* Where a header is due, a preamble is the next host: the change was too quick to be seen. */
  if (memcmp(&incoming, preamble_start, header_bytes) == 0) {
    end_session();
    have = header_bytes;
    late_news_until = uptime_s() + late_news_s;
    return;
  }
  const char *reason = refusal(&incoming);
  if (reason != NULL)
    protocol_error(reason);
}

static void end_frame(void) {
  have = 0;
  if (incoming.type == frame_message) {
    JSValue text = JS_NewStringLen(js, (const char *)payload, incoming.length);
    return call_javascript(handlers[on_message], text);
  }
  const char *reason = stream_end_frame(&incoming, (const uint32_t *)payload);
  if (reason != NULL)
    protocol_error(reason);
}

static void take_payload(const uint8_t *bytes, size_t length) {
  if (incoming.type == frame_data)
    stream_take(incoming.stream_id, bytes, length);
  else
    memcpy(payload + have - header_bytes, bytes, length);
  have += length;
}

static void take_preamble(uint8_t byte) {
  if (have >= header_bytes)
    session_key[have++ - header_bytes] = byte;
  else /* The first byte occurs nowhere else in the start, so a mismatch starts over simply. */
    have = byte == preamble_start[have] ? have + 1 : byte == preamble_start[0];
  if (have == preamble_bytes)
    begin_session();
}

static void take_input(const uint8_t *bytes, size_t length) {
  while (length > 0) {
    size_t used = 1;
    if (session == awaiting_preamble) {
      take_preamble(*bytes);
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
  bool is_late_news = uptime_s() < late_news_until;
  bool had_session = session != awaiting_preamble;
  if (!is_late_news)
    end_session();
  port_listen(false);
  /* The next host may have come before SIGIO was armed. */
  port_check();
  if (had_session && !is_late_news)
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

/* Writes until there is nothing to write; false when the port takes no more for now. */
static bool write_output(void) {
  while (session == accepted && (output_start < output_end || stream_queue_next())) {
    ssize_t written = write(port.fd, output + output_start, output_end - output_start);
    if (written < 0) {
      if (errno != EAGAIN)
        port_lost();
      return false;
    }
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
    for (uint32_t id = stream_next_drained(); id != 0; id = stream_next_drained())
      call_javascript(handlers[on_drained], JS_NewUint32(js, id));
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

/* channelAttach(fd): the port has appeared. */
NATIVE(channel_attach) {
  port.fd = integer(argv[0]);
  port.ready = port_ready;
  port_listen(false);
  port_check();
  return JS_UNDEFINED;
}

/* channelCheck(): a SIGIO says that a host may have come. */
NATIVE(channel_check) {
  port_check();
  return JS_UNDEFINED;
}

/* channelAccept(address of shared memory, or 0): the hello comes next. */
NATIVE(channel_accept) {
  int64_t address = 0;
  JS_ToInt64(context, &address, argv[0]);
  if (session == awaiting_accept) {
    session = accepted;
    stream_share((uint8_t *)(uintptr_t)address);
    queue_bytes(preamble_start, sizeof preamble_start);
    queue_bytes(session_key, sizeof session_key);
  }
  return JS_UNDEFINED;
}

/* channelSend(text): 0, or -EMSGSIZE. */
NATIVE(channel_send) {
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, argv[0]);
  bool fits = text != NULL && length > 0 && length <= max_message;
  if (fits)
    queue_frame(frame_message, 0, text, length);
  JS_FreeCString(context, text);
  return JS_NewInt32(context, fits ? 0 : -EMSGSIZE);
}
