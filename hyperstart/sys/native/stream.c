/*
 * The streams of the frame pump. Of a source (guest to host) the ring holds what the host has not
 * acknowledged: it is the retransmission buffer, and a full window stops the reading and so the writer.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  max_data = 32 * 1024,
  window = 256 * 1024,
  /* Of the memory that the host shares: a window for each of so many sources, then as many of the host's. */
  shared_rings = 8,
  shared_bytes = 2 * shared_rings * window,
  /* Fewer bytes go by way of the port. */
  least_shared = 4096,
  usual_pipe = 64 * 1024,
};

struct stream {
  struct watch watch;
  struct stream *next;
  uint32_t id;
  bool is_sink, is_terminal;
  bool at_end;   /* source: read to its end; sink: the host sent EOF */
  bool eof_sent; /* source: in this session */
  bool drained;  /* source: JavaScript has been told */
  bool is_wide;  /* its pipe holds a whole window */
  /* Byte counters; the ring is used modulo its size. What is in it: tail to head. */
  uint64_t head, tail;
  uint64_t sent;     /* source: tail <= sent <= head */
  uint64_t credited; /* sink: up to here no credit is due, be it given or of an earlier session */
  /* A sink may hold the rest of an earlier session besides a full window of this one. */
  size_t ring_bytes;
  uint8_t *ring; /* what is not touched of it costs no memory */
};

static struct stream *streams; /* in order of service: who was served goes to the end */

static uint8_t *shared;                         /* NULL: no host has shared any */
static bool may_share;                          /* in this session */
static struct stream *ring_owner[shared_rings]; /* of the rings in there */

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

static bool has_shared_ring(const struct stream *stream) {
  return shared != NULL && stream->ring >= shared && stream->ring < shared + shared_bytes;
}

static void make_ring(struct stream *stream) {
  stream->ring_bytes = stream->is_sink ? 2 * window : window;
  for (size_t i = 0; shared != NULL && !stream->is_sink && i < shared_rings; i++) {
    if (ring_owner[i] != NULL)
      continue;
    ring_owner[i] = stream;
    stream->ring = shared + i * window;
    return;
  }
  stream->ring = malloc(stream->ring_bytes);
}

static void free_stream(struct stream *stream) {
  if (has_shared_ring(stream))
    ring_owner[(stream->ring - shared) / window] = NULL;
  else
    free(stream->ring);
  free(stream);
}

/* Closes the descriptor but keeps the stream, which may have bytes or an end to deliver. */
static void close_descriptor(struct stream *stream) {
  watch_set(&stream->watch, 0);
  if (stream->watch.fd >= 0)
    close(stream->watch.fd);
  stream->watch.fd = -1;
}

/* Where much flows each end of the pipe gets on for longer without the other one. */
static void widen_pipe(struct stream *stream) {
  if (!stream->is_wide)
    fcntl(stream->watch.fd, F_SETPIPE_SZ, window);
  stream->is_wide = true;
}

/* --- Sources: descriptor to host --- */

static void source_ready(struct watch *watch, uint32_t events) {
  struct stream *stream = (struct stream *)watch;
  /* An empty ring starts over at its first page, so that little traffic touches little memory. */
  if (stream->head == stream->tail)
    stream->head = stream->sent = stream->tail = 0;
  size_t offset = stream->head % stream->ring_bytes;
  size_t room = smaller(window - (stream->head - stream->tail), stream->ring_bytes - offset);
  if (room == 0)
    return;
  ssize_t got = read(stream->watch.fd, stream->ring + offset, room);
  if (got >= usual_pipe)
    widen_pipe(stream);
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

static const char *source_acknowledged(struct stream *stream, uint32_t count) {
  if (count > stream->sent - stream->tail)
    return "credit for bytes that were not sent";
  stream->tail += count;
  if (stream->watch.fd >= 0 && stream->head - stream->tail < window)
    watch_set(&stream->watch, EPOLLIN);
  return NULL;
}

static void source_reset(struct stream *stream) {
  close_descriptor(stream);
  stream->at_end = true;
  stream->sent = stream->tail = stream->head;
}

/*
 * While the host deals with bytes of a stream, few more wait for its credit: a program that writes in small
 * pieces would keep both ends busy with frames.
 */
static bool source_has_work(const struct stream *stream) {
  uint64_t unsent = stream->head - stream->sent;
  bool is_worth_it = stream->sent == stream->tail || unsent >= max_data - header_bytes ||
                     stream->head - stream->tail == window;
  if (stream->is_sink || stream->eof_sent)
    return false;
  return stream->at_end || (unsent > 0 && is_worth_it);
}

bool stream_queue_next(void) {
  struct stream **link = &streams;
  while (*link != NULL && !source_has_work(*link))
    link = &(*link)->next;
  struct stream *stream = *link;
  if (stream == NULL)
    return false;
  size_t offset = stream->sent % stream->ring_bytes;
  size_t length = smaller(stream->head - stream->sent, stream->ring_bytes - offset);
  if (may_share && length >= least_shared && has_shared_ring(stream)) {
    const uint32_t place[] = {(uint32_t)(stream->ring + offset - shared), (uint32_t)length};
    queue_frame(frame_shared, stream->id, place, sizeof place);
  } else {
    /* With its header it fills one buffer of the port at most. */
    length = smaller(length, max_data - header_bytes);
    queue_frame(length > 0 ? frame_data : frame_eof, stream->id, stream->ring + offset, length);
  }
  stream->sent += length;
  stream->eof_sent = length == 0;
  *link = stream->next;
  append_stream(stream);
  return true;
}

uint32_t stream_next_drained(void) {
  struct stream *stream = streams;
  while (stream != NULL && (stream->is_sink || stream->drained || !stream->eof_sent ||
                            stream->head != stream->tail))
    stream = stream->next;
  if (stream == NULL)
    return 0;
  stream->drained = true;
  return stream->id;
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
    size_t offset = stream->tail % stream->ring_bytes;
    size_t length = smaller(stream->head - stream->tail, stream->ring_bytes - offset);
    ssize_t written = write(stream->watch.fd, stream->ring + offset, length);
    if (written < 0 && errno == EAGAIN)
      break;
    if (written < 0)
      return sink_broken(stream);
    if (written >= usual_pipe)
      widen_pipe(stream);
    stream->tail += (uint64_t)written;
  }
  bool is_empty = stream->tail == stream->head;
  /* Coalesced: a credit per quarter of the window, or when everything is written. */
  if (stream->tail > stream->credited &&
      (is_empty || stream->tail - stream->credited >= window / 4)) {
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

void stream_take(uint32_t id, const uint8_t *bytes, size_t length) {
  struct stream *stream = find_stream(id);
  if (stream == NULL || stream->watch.fd < 0)
    return;
  /* So much is left of earlier sessions only when nobody has read for several of them. */
  if (stream->head - stream->tail + length > stream->ring_bytes)
    return sink_broken(stream);
  size_t offset = stream->head % stream->ring_bytes;
  size_t first = smaller(length, stream->ring_bytes - offset);
  memcpy(stream->ring + offset, bytes, first);
  memcpy(stream->ring, bytes + first, length - first);
  stream->head += length;
}

/* --- Frames --- */

void stream_begin_session(void) {
  for (struct stream *stream = streams; stream != NULL; stream = stream->next) {
    stream->sent = stream->tail;
    stream->eof_sent = false;
    stream->credited = stream->head;
  }
}

/* Why a stream takes no such bytes, or NULL. */
static const char *data_refusal(const struct stream *stream, uint32_t length, uint32_t most) {
  if (length == 0 || length > most)
    return "data frame of a size that is not allowed";
  if (stream != NULL && (!stream->is_sink || stream->at_end))
    return "data for a stream that takes none";
  if (stream != NULL && stream->head - stream->credited + length > window)
    return "more data than the window allows";
  return NULL;
}

const char *stream_refusal(const struct header *header) {
  uint32_t length = header->length;
  switch (header->type) {
  case frame_data:
    return data_refusal(find_stream(header->stream_id), length, max_data);
  case frame_credit:
    return length != 4 ? "credit without its count" : NULL;
  case frame_eof:
  case frame_reset:
    return length != 0 ? "payload in a frame that has none" : NULL;
  case frame_shared:
    return length != 8 || !may_share ? "no place in shared memory" : NULL;
  default:
    return "unknown frame type";
  }
}

void stream_share(uint8_t *memory) {
  may_share = memory != NULL;
  if (may_share)
    shared = memory;
}

/* Takes bytes that the host has put into the memory that it shares. */
static const char *take_shared(struct stream *stream, uint32_t offset, uint32_t length) {
  if (offset > shared_bytes || length > shared_bytes - offset)
    return "place outside of the shared memory";
  const char *reason = data_refusal(stream, length, window);
  if (reason == NULL && stream != NULL)
    stream_take(stream->id, shared + offset, length);
  return reason;
}

const char *stream_end_frame(const struct header *header, const uint32_t *payload) {
  struct stream *stream = find_stream(header->stream_id);
  bool is_sink = stream != NULL && stream->is_sink;
  bool is_source = stream != NULL && !stream->is_sink;
  bool is_shared = header->type == frame_shared, is_data = is_shared || header->type == frame_data;
  const char *reason = is_shared ? take_shared(stream, payload[0], payload[1]) : NULL;
  if (is_sink && header->type == frame_eof)
    stream->at_end = true;
  if (reason != NULL)
    return reason;
  if (is_sink && stream->watch.fd >= 0 && (is_data || header->type == frame_eof))
    sink_write(stream);
  else if (is_data)
    queue_frame(frame_reset, header->stream_id, NULL, 0);
  else if (is_source && header->type == frame_reset)
    source_reset(stream);
  else if (is_source && header->type == frame_credit)
    return source_acknowledged(stream, payload[0]);
  return NULL;
}

/* --- What JavaScript calls --- */

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
  make_ring(stream);
  stream->watch = (struct watch){.fd = fd, .ready = stream->is_sink ? sink_ready : source_ready};
  int error = stream->ring == NULL ? -ENOMEM : 0;
  if (error == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    error = -errno;
  if (error == 0 && !stream->is_sink)
    error = watch_set(&stream->watch, EPOLLIN);
  if (error == 0)
    append_stream(stream);
  else
    free_stream(stream);
  return JS_NewInt32(context, error);
}

/* channelRemove(streamId) */
NATIVE(channel_remove) {
  struct stream *stream = find_stream((uint32_t)integer(argv[0])), **link = &streams;
  while (*link != stream)
    link = &(*link)->next;
  if (stream != NULL) {
    *link = stream->next;
    close_descriptor(stream);
    free_stream(stream);
  }
  return JS_UNDEFINED;
}

/* channelIsAtEnd(streamId) */
NATIVE(channel_is_at_end) {
  struct stream *stream = find_stream((uint32_t)integer(argv[0]));
  return JS_NewBool(context, stream == NULL || stream->at_end);
}
