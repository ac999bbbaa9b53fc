/*
 * Memory of the JavaScript engine, which takes and gives back small blocks all the time: they come out
 * of one arena and go to a list of their size, so that no page is mapped or unmapped for them. What is
 * large is libc's.
 */
#include "native.h"

#include <stdlib.h>
#include <string.h>

enum {
  unit = 16,
  /* Sizes: multiples of the unit, then powers of two. */
  small_classes = 64,
  classes = small_classes + 6,
  arena_bytes = 16 * 1024 * 1024,
};

struct block {
  size_t size;        /* with this header */
  struct block *next; /* of its size, while it is free; else the caller's memory begins here */
};
enum { header_size = offsetof(struct block, next) };

/* Pages that are not touched cost nothing. The caller's memory is aligned, not the header before it. */
static _Alignas(unit) uint8_t arena[arena_bytes];
static size_t arena_used = unit - header_size;
static struct block *free_blocks[classes];

/* The class for so many bytes; `classes` when they are too many. */
static unsigned class_of(size_t bytes) {
  size_t units = (bytes + unit - 1) / unit;
  unsigned class = small_classes;
  if (units <= small_classes)
    return (unsigned)units - 1;
  while (class < classes && units > (size_t)small_classes << (class - small_classes + 1))
    class++;
  return class;
}

static size_t class_bytes(unsigned class) {
  return class < small_classes ? (size_t)unit * (class + 1)
                               : (size_t)unit * small_classes << (class - small_classes + 1);
}

static struct block *take_block(size_t bytes) {
  unsigned class = class_of(bytes);
  struct block *block = class < classes ? free_blocks[class] : NULL;
  if (block != NULL) {
    free_blocks[class] = block->next;
    return block;
  }
  size_t size = class < classes ? class_bytes(class) : bytes;
  if (class < classes && size <= arena_bytes - arena_used) {
    block = (struct block *)(arena + arena_used);
    arena_used += size;
  } else {
    uint8_t *own = malloc(unit - header_size + size);
    if (own == NULL)
      return NULL;
    block = (struct block *)(own + unit - header_size);
  }
  block->size = size;
  return block;
}

static struct block *block_of(const void *memory) {
  return (struct block *)((uint8_t *)memory - header_size);
}

static bool is_in_arena(const struct block *block) {
  return (uintptr_t)block - (uintptr_t)arena < arena_bytes;
}

static size_t memory_size(const void *memory) { return block_of(memory)->size - header_size; }

static void *memory_take(JSMallocState *state, size_t size) {
  struct block *block = take_block(size + header_size);
  if (block == NULL)
    return NULL;
  state->malloc_count++;
  state->malloc_size += block->size;
  return &block->next;
}

static void memory_give_back(JSMallocState *state, void *memory) {
  if (memory == NULL)
    return;
  struct block *block = block_of(memory);
  state->malloc_count--;
  state->malloc_size -= block->size;
  if (!is_in_arena(block))
    return free((uint8_t *)block - (unit - header_size));
  unsigned class = class_of(block->size);
  block->next = free_blocks[class];
  free_blocks[class] = block;
}

static void *memory_resize(JSMallocState *state, void *memory, size_t size) {
  if (memory != NULL && size > 0 && size <= memory_size(memory))
    return memory;
  void *larger = size == 0 ? NULL : memory_take(state, size);
  if (larger != NULL && memory != NULL)
    memcpy(larger, memory, memory_size(memory));
  if (larger != NULL || size == 0)
    memory_give_back(state, memory);
  return larger;
}

const JSMallocFunctions engine_memory = {memory_take, memory_give_back, memory_resize, memory_size};
