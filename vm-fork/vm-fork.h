/*
 * Forks a QEMU process whose VM is paused: the child is a second VM that goes on from the same point, with
 * all that its parent has in memory, the translated code of the guest above all. QEMU loads this library
 * by LD_PRELOAD and knows nothing of it; README.md tells how it works.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* threads.c */

/* Once, while the process has a single thread. */
void prepare_parking(void);
/*
 * Stops every thread but the caller's inside a system call that waits, so that none holds a lock. False,
 * with all of them going on, when one of them does not come to rest; why_not_parked() then says which.
 */
bool park_threads(void);
const char *why_not_parked(void);
/* In a child, which has the caller's thread only: brings the parked ones to life. False with errno. */
bool revive_threads(void);
void release_threads(void);

/* memory.c */

/* Lets a fork inherit what QEMU keeps from forks. */
void inherit_memory(void);
/* In a child: exchanges memory that it would share with its parent for a copy. False with errno. */
bool copy_shared_memory(void);

/* descriptors.c */

/* What a child is told: how it differs from its parent. */
struct fork_request {
  const char *directory; /* its sockets go there, under their parent's names */
  const char *log;       /* file in the directory for what it prints */
  const char *tap;       /* its TAP device; empty where the VM has no NIC */
};
/*
 * In a child: gives every descriptor that must not be shared a new object behind its number. False with
 * errno, and with what could not be opened in `what`.
 */
bool reopen_descriptors(const struct fork_request *request, const char **what);
/* A descriptor that reopen_descriptors leaves alone; at most two. */
void keep_descriptor(int fd);
/* Remembers what was asked of a TAP device, to ask the same of another one. */
void note_tap_request(unsigned long request, const void *argument);

/* intercepted.c */

/* In a child: the system call filter that its parent only prepared. False with errno. */
bool load_filter(void);
