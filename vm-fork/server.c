/*
 * Waits for requests on a Unix socket, and forks. A request is three lines (directory, log, TAP); the
 * answer is one: "forked PID" by the child when it is a VM of its own, or "failed REASON".
 */
#define _GNU_SOURCE
#include "vm-fork.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listener = -1;
/* As process lists show it. */
static char process_name[16];

static void answer_failure(int connection, const char *what) {
  dprintf(connection, "failed %s: %s\n", what, strerror(errno));
}

static _Noreturn void give_up(int connection, const char *what) {
  answer_failure(connection, what);
  _exit(EXIT_FAILURE);
}

/* The thread that forked is the first one of the child, and must stay: without it the process is a zombie. */
static _Noreturn void become_vm(int connection, const struct fork_request *request) {
  const char *what = NULL;
  prctl(PR_SET_NAME, process_name);
  setsid();
  keep_descriptor(connection);
  close(listener);
  if (chdir(request->directory) < 0)
    give_up(connection, request->directory);
  if (!copy_shared_memory())
    give_up(connection, "copying memory");
  if (!reopen_descriptors(request, &what))
    give_up(connection, what);
  if (!revive_threads())
    give_up(connection, "reviving threads");
  if (!load_filter())
    give_up(connection, "loading the system call filter");
  release_threads();
  dprintf(connection, "forked %d\n", getpid());
  close(connection);
  for (;;)
    pause();
}

/* The text up to the end of the line, of which `rest` is made the beginning of the next; NULL at the end. */
static const char *take_line(char **rest) {
  char *line = *rest, *end = line == NULL ? NULL : strchr(line, '\n');
  if (end == NULL)
    return NULL;
  *end = '\0';
  *rest = end + 1;
  return line;
}

/* False until three lines are there. */
static bool read_request(int connection, char *text, size_t size, struct fork_request *request) {
  size_t length = 0, lines = 0;
  while (lines < 3) {
    ssize_t count = read(connection, text + length, size - 1 - length);
    if (count <= 0)
      return false;
    for (ssize_t i = 0; i < count; i++)
      lines += text[length + (size_t)i] == '\n';
    length += (size_t)count;
  }
  text[length] = '\0';
  request->directory = take_line(&text);
  request->log = take_line(&text);
  request->tap = take_line(&text);
  return request->tap != NULL;
}

static void serve(int connection) {
  static char text[8192];
  struct fork_request request;
  if (!read_request(connection, text, sizeof text, &request))
    return;
  if (!park_threads()) {
    dprintf(connection, "failed the VM does not come to rest: %s\n", why_not_parked());
    return;
  }
  inherit_memory();
  pid_t child = _Fork();
  if (child == 0)
    become_vm(connection, &request);
  if (child < 0)
    answer_failure(connection, "fork");
  release_threads();
}

static void *serve_all(void *unused) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  prctl(PR_SET_NAME, "vm-fork");
  for (;;) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
      continue;
    serve(connection);
    close(connection);
  }
  return unused;
}

static bool listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >=
      (int)sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
         listen(listener, SOMAXCONN) == 0;
}

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("HYPER_FORK_SOCKET");
  pthread_t thread;
  if (path == NULL)
    return;
  /* Nobody waits for the children: they must not stay as zombies. */
  signal(SIGCHLD, SIG_IGN);
  prepare_parking();
  prctl(PR_GET_NAME, process_name);
  if (listen_at(path) && (errno = pthread_create(&thread, NULL, serve_all, NULL)) == 0)
    return;
  fprintf(stderr, "vm-fork: %s: %s\n", path, strerror(errno));
  _exit(EXIT_FAILURE);
}
