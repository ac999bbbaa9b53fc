/*
 * Threads do not survive a fork, but all that makes them does: their stacks, their thread-local storage
 * and, saved by a signal handler on each stack, their registers. Only what the kernel knows of a thread
 * has to be made again.
 */
#define _GNU_SOURCE
#include "vm-fork.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { MAX_THREADS = 128, ATTEMPTS = 100, PATIENCE_MS = 200 };

enum state { RUNNING, PARKED, BUSY };
enum gate { OPEN, CLOSED };

struct thread {
  pid_t id;
  atomic_int state;
  char *storage; /* the C library's record of the thread, which the thread pointer points to */
  pid_t *id_field;
  void *robust_list;
  size_t robust_list_size;
  uintptr_t stack_pointer;
  void *registers[5];
  char name[16];
};

static struct thread threads[MAX_THREADS];
static size_t thread_count;
static char reason[128];
/* Threads stay parked while it is CLOSED. */
static atomic_int gate = OPEN;

static void sleep_ms(double ms) {
  nanosleep(&(struct timespec){.tv_nsec = (long)(ms * 1e6)}, NULL);
}

static pid_t own_id(void) { return (pid_t)syscall(SYS_gettid); }

/* Where the C library keeps a thread's id, which no header tells: the only number like it at the front. */
static pid_t *find_id_field(char *storage, pid_t id) {
  for (size_t at = 0; at < 2048; at += sizeof id)
    if (memcmp(storage + at, &id, sizeof id) == 0)
      return (pid_t *)(storage + at);
  return NULL;
}

/*
 * True when the signal came into a system call that waits: one that it has ended (EINTR), or one that the
 * kernel is about to begin again. Anywhere else a thread may hold a lock.
 */
static bool was_waiting(const ucontext_t *interrupted) {
  static const uint8_t system_call[] = {0x0f, 0x05};
  const greg_t *registers = interrupted->uc_mcontext.gregs;
  const uint8_t *next = (const uint8_t *)registers[REG_RIP];
  if (memcmp(next - sizeof system_call, system_call, sizeof system_call) == 0)
    return registers[REG_RAX] == -EINTR;
  return memcmp(next, system_call, sizeof system_call) == 0 && registers[REG_RAX] == SYS_futex;
}

static struct thread *find_thread(pid_t id) {
  for (size_t i = 0; i < thread_count; i++)
    if (threads[i].id == id)
      return &threads[i];
  return NULL;
}

static void wait_for_release(void) {
  while (atomic_load(&gate) == CLOSED)
    syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, CLOSED, NULL, NULL, 0);
}

/* The life of a thread stands still here, and goes on from here in every child. */
static void on_park(int signal, siginfo_t *info, void *interrupted) {
  (void)signal, (void)info;
  int error = errno;
  struct thread *self = find_thread(own_id());
  if (self == NULL || atomic_load(&gate) == OPEN)
    return;
  self->storage = (char *)pthread_self();
  self->id_field = find_id_field(self->storage, self->id);
  if (!was_waiting(interrupted) || self->id_field == NULL ||
      syscall(SYS_get_robust_list, 0, &self->robust_list, &self->robust_list_size) < 0) {
    atomic_store(&self->state, BUSY);
    return;
  }
  self->stack_pointer = (uintptr_t)__builtin_frame_address(0);
  if (__builtin_setjmp(self->registers) == 0)
    atomic_store(&self->state, PARKED);
  wait_for_release();
  atomic_store(&self->state, RUNNING);
  errno = error;
}

void prepare_parking(void) {
  struct sigaction action = {.sa_sigaction = on_park, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigfillset(&action.sa_mask);
  sigaction(SIGRTMAX, &action, NULL);
}

static void read_name(struct thread *thread) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/comm", thread->id);
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return;
  if (fgets(thread->name, sizeof thread->name, file) != NULL)
    thread->name[strcspn(thread->name, "\n")] = '\0';
  fclose(file);
}

/* All threads but the caller's; false when there are too many. */
static bool list_threads(void) {
  DIR *directory = opendir("/proc/self/task");
  pid_t self = own_id();
  thread_count = 0;
  if (directory == NULL)
    return false;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL && thread_count < MAX_THREADS;) {
    pid_t id = atoi(entry->d_name);
    if (id <= 0 || id == self)
      continue;
    struct thread *thread = &threads[thread_count++];
    memset(thread, 0, sizeof *thread);
    thread->id = id;
    read_name(thread);
  }
  closedir(directory);
  return thread_count < MAX_THREADS;
}

/* False when a thread came after the others had been listed. */
static bool are_all_listed(void) {
  DIR *directory = opendir("/proc/self/task");
  size_t count = 0;
  if (directory == NULL)
    return false;
  while (readdir(directory) != NULL)
    count++;
  closedir(directory);
  return count == thread_count + 3; /* the caller's, "." and ".." */
}

static size_t count_in(enum state state) {
  size_t count = 0;
  for (size_t i = 0; i < thread_count; i++)
    count += atomic_load(&threads[i].state) == (int)state;
  return count;
}

static bool try_to_park(void) {
  if (!list_threads()) {
    snprintf(reason, sizeof reason, "more than %d threads", MAX_THREADS);
    return false;
  }
  atomic_store(&gate, CLOSED);
  pid_t process = getpid();
  for (size_t i = 0; i < thread_count; i++)
    syscall(SYS_tgkill, process, threads[i].id, SIGRTMAX);
  for (double waited = 0; waited < PATIENCE_MS && count_in(RUNNING) > 0; waited += 0.1)
    sleep_ms(0.1);
  if (count_in(PARKED) == thread_count && are_all_listed())
    return true;
  snprintf(reason, sizeof reason, "a thread came meanwhile");
  for (size_t i = 0; i < thread_count; i++)
    if (atomic_load(&threads[i].state) != PARKED)
      snprintf(reason, sizeof reason, "thread %s is busy", threads[i].name);
  release_threads();
  return false;
}

bool park_threads(void) {
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (try_to_park())
      return true;
    sleep_ms(2);
  }
  return false;
}

const char *why_not_parked(void) { return reason; }

void release_threads(void) {
  atomic_store(&gate, OPEN);
  syscall(SYS_futex, &gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
  /* The next attempt writes where they still read. */
  while (count_in(PARKED) > 0)
    sleep_ms(0.05);
}

/* On the old stack of the thread, below the frame of its handler. */
static int go_on(void *argument) {
  struct thread *thread = argument;
  prctl(PR_SET_NAME, thread->name);
  syscall(SYS_set_robust_list, thread->robust_list, thread->robust_list_size);
  __builtin_longjmp(thread->registers, 1);
}

bool revive_threads(void) {
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  /* QEMU sets it for all of its threads; it is not inherited from a parent process. */
  prctl(PR_SET_TIMERSLACK, 1);
  for (size_t i = 0; i < thread_count; i++) {
    struct thread *thread = &threads[i];
    void *stack = (void *)((thread->stack_pointer - 16384) & ~(uintptr_t)15);
    int id = clone(go_on, stack, flags, thread, thread->id_field, thread->storage, thread->id_field);
    if (id < 0)
      return false;
    thread->id = id;
  }
  return true;
}
