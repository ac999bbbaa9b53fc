/*
 * Memory of the JavaScript engine, which takes and gives back small blocks all the time: they come out
 * of an arena and go to a list of their size, so that no page is mapped or unmapped for them. What is
 * larger is libc's. Until the program is loaded all of it comes out of an arena that becomes part of the
 * snapshot; what is large of that is never used again.
 */
#include "native.h"

#include <stdlib.h>
#include <string.h>

enum { unit = 16, header_size = 8, largest = 1024 };
enum { load_arena_bytes = 768 * 1024, arena_bytes = 16 * 1024 * 1024 };

struct block {
  size_t size;        /* with this header */
  struct block *next; /* of its size, while it is free; else the caller's memory begins here */
};

/* The caller's memory is aligned, not the header before it. */
static _Alignas(unit) uint8_t load_arena[load_arena_bytes];
/* Pages that are not touched cost nothing. */
static SCRATCH _Alignas(unit) uint8_t arena[arena_bytes];
static uint8_t *unused = load_arena + unit - header_size;
static uint8_t *arena_end = load_arena + load_arena_bytes;
static bool is_loaded;
static struct block *free_blocks[largest / unit + 1];

static struct block *block_of(const void *memory) {
  return (struct block *)((uint8_t *)memory - header_size);
}

static bool was_loaded(const struct block *block) {
  const uint8_t *place = (const uint8_t *)block;
  return place >= load_arena && place < load_arena + load_arena_bytes;
}

static struct block *take_block(size_t size) {
  struct block *block = size <= largest ? free_blocks[size / unit] : NULL;
  if (block != NULL) {
    free_blocks[size / unit] = block->next;
  } else if ((size <= largest || !is_loaded) && size <= (size_t)(arena_end - unused)) {
    block = (struct block *)unused;
    unused += size;
  } else if (!is_loaded) {
    return NULL;
  } else {
    uint8_t *own = malloc(unit - header_size + size);
    block = own == NULL ? NULL : (struct block *)(own + unit - header_size);
  }
  if (block != NULL)
    block->size = size;
  return block;
}

static void *memory_take(JSMallocState *state, size_t size) {
  struct block *block = take_block((size + header_size + unit - 1) / unit * unit);
  if (block == NULL)
    return NULL;
  state->malloc_size += block->size;
  return &block->next;
}

static void memory_give_back(JSMallocState *state, void *memory) {
  if (memory == NULL)
    return;
  struct block *block = block_of(memory);
  state->malloc_size -= block->size;
  if (block->size > largest && was_loaded(block))
    return;
  if (block->size > largest)
    return free((uint8_t *)block - (unit - header_size));
  block->next = free_blocks[block->size / unit];
  free_blocks[block->size / unit] = block;
}

static size_t memory_size(const void *memory) {
  return memory == NULL ? 0 : block_of(memory)->size - header_size;
}

static void *memory_resize(JSMallocState *state, void *memory, size_t size) {
  size_t present = memory_size(memory);
  if (size > 0 && size <= present)
    return memory;
  void *larger = size == 0 ? NULL : memory_take(state, size);
  if (larger != NULL && present > 0)
    memcpy(larger, memory, present);
  if (larger != NULL || size == 0)
    memory_give_back(state, memory);
  return larger;
}

void memory_is_loaded(void) {
  is_loaded = true;
  unused = arena + unit - header_size;
  arena_end = arena + arena_bytes;
}

const JSMallocFunctions engine_memory = {memory_take, memory_give_back, memory_resize, memory_size};
