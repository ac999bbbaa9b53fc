/* Descriptors after a fork name the same objects as those of the parent: most must not be shared. */
#define _GNU_SOURCE
#include "vm-fork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int kept[2] = {-1, -1};

void keep_descriptor(int fd) { kept[kept[0] < 0 ? 0 : 1] = fd; }

/* What QEMU asked of its TAP device, the last time for each kind of request. */
static struct {
  unsigned long request;
  unsigned long value; /* for TUNSETOFFLOAD, which takes no address */
  int number;
  bool is_known;
} tap_requests[] = {{.request = TUNSETVNETHDRSZ},
                    {.request = TUNSETVNETLE},
                    {.request = TUNSETVNETBE},
                    {.request = TUNSETSNDBUF},
                    {.request = TUNSETOFFLOAD}};
static short tap_flags;

void note_tap_request(unsigned long request, const void *argument) {
  if (request == TUNSETIFF)
    tap_flags = ((const struct ifreq *)argument)->ifr_flags;
  for (size_t i = 0; i < COUNT(tap_requests); i++) {
    if (tap_requests[i].request != request)
      continue;
    tap_requests[i].is_known = true;
    if (request == TUNSETOFFLOAD)
      tap_requests[i].value = (uintptr_t)argument;
    else
      tap_requests[i].number = *(const int *)argument;
  }
}

/* Not by way of ioctl(), which would note it. */
static bool ask(int fd, unsigned long request, const void *argument) {
  return syscall(SYS_ioctl, fd, request, argument) >= 0;
}

static int open_tap(const char *name) {
  struct ifreq interface = {.ifr_flags = tap_flags};
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  snprintf(interface.ifr_name, sizeof interface.ifr_name, "%s", name);
  if (fd < 0 || !ask(fd, TUNSETIFF, &interface))
    return -1;
  for (size_t i = 0; i < COUNT(tap_requests); i++) {
    const void *argument = tap_requests[i].request == TUNSETOFFLOAD
                               ? (const void *)tap_requests[i].value
                               : &tap_requests[i].number;
    if (tap_requests[i].is_known && !ask(fd, tap_requests[i].request, argument))
      return -1;
  }
  return fd;
}

/* A peer that has hung up: that of a connection which belongs to the parent. */
static int open_closed_connection(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    return -1;
  close(pair[1]);
  return pair[0];
}

static int open_listener(int former, const char *directory) {
  struct sockaddr_un address, own = {.sun_family = AF_UNIX};
  socklen_t size = sizeof address;
  if (getsockname(former, (struct sockaddr *)&address, &size) < 0)
    return -1;
  const char *name = address.sun_family == AF_UNIX ? strrchr(address.sun_path, '/') : NULL;
  int length = snprintf(own.sun_path, sizeof own.sun_path, "%s%s", directory, name ? name : "");
  if (name == NULL || length >= (int)sizeof own.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0 || listen(fd, 1) < 0)
    return -1;
  return fd;
}

static int open_socket(int former, const char *directory) {
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  getsockopt(former, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size);
  return is_listening ? open_listener(former, directory) : open_closed_connection();
}

static bool starts_with(const char *text, const char *beginning) {
  return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* A new object of the same kind; `former` itself when it may be shared, -1 with errno when it fails. */
static int open_anew(int former, const char *kind, const struct fork_request *request) {
  if (starts_with(kind, "socket:"))
    return open_socket(former, request->directory);
  if (strcmp(kind, "/dev/net/tun") == 0)
    return open_tap(request->tap);
  if (strcmp(kind, "anon_inode:[eventfd]") == 0)
    return eventfd(0, EFD_CLOEXEC);
  /* QEMU puts descriptors into it only when it has more than 64. */
  if (strcmp(kind, "anon_inode:[eventpoll]") == 0)
    return epoll_create1(EPOLL_CLOEXEC);
  /* It tells of the signals of whoever reads it. */
  if (strcmp(kind, "anon_inode:[signalfd]") == 0 || !starts_with(kind, "anon_inode:"))
    return former;
  errno = ENOTSUP;
  return -1;
}

static bool reopen(int fd, const char *kind, const struct fork_request *request) {
  int status = fcntl(fd, F_GETFL), flags = fcntl(fd, F_GETFD);
  int fresh = open_anew(fd, kind, request);
  if (fresh < 0 || fresh == fd)
    return fresh == fd;
  if (fcntl(fresh, F_SETFL, status) < 0 || dup2(fresh, fd) < 0 || fcntl(fd, F_SETFD, flags) < 0)
    return false;
  return close(fresh) == 0;
}

static bool reopen_log(const char *log) {
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
    return false;
  return close(fd) == 0;
}

bool reopen_descriptors(const struct fork_request *request, const char **what) {
  enum { MAX_DESCRIPTORS = 1024 };
  static char kind[4096];
  static int open_fds[MAX_DESCRIPTORS];
  size_t count = 0;
  *what = request->log;
  if (!reopen_log(request->log))
    return false;
  *what = "/proc/self/fd";
  DIR *directory = opendir(*what);
  if (directory == NULL)
    return false;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    int fd = atoi(entry->d_name);
    if (fd > STDERR_FILENO && fd != kept[0] && fd != kept[1] && count < MAX_DESCRIPTORS)
      open_fds[count++] = fd;
  }
  closedir(directory);
  *what = kind;
  for (size_t i = 0; i < count; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open_fds[i]);
    ssize_t length = readlink(path, kind, sizeof kind - 1);
    /* That of the listing itself. */
    if (length < 0)
      continue;
    kind[length] = '\0';
    if (!reopen(open_fds[i], kind, request))
      return false;
  }
  return true;
}
