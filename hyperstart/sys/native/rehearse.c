/*
 * The program of a rehearsal container: asks of the kernel what programs usually ask of it. What a VM has
 * done once is in its memory, and translated where the processor is emulated; so it goes for each copy.
 * Only that it is done counts, not what comes of it.
 */
#include "native.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/rseq.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { page = 4096, several = 64 * page };

static const char own_file[] = "/proc/self/exe";
static SCRATCH char bytes[several];

static void touch(volatile char *memory, size_t step) {
  for (size_t at = 0; at < several; at += step)
    memory[at]++;
}

/* As C libraries do before main() and in malloc(). */
static void start_up(void) {
  static struct rseq rseq __attribute__((aligned(32)));
  struct rlimit limit;
  struct utsname names;
  char name[16];
  syscall(SYS_set_tid_address, &bytes);
  syscall(SYS_set_robust_list, NULL, 3 * sizeof(void *));
  syscall(SYS_rseq, &rseq, sizeof rseq, 0, 0x53053053);
  getrlimit(RLIMIT_STACK, &limit);
  readlink(own_file, bytes, sizeof bytes);
  getrandom(bytes, 8, GRND_NONBLOCK);
  char *heap = (char *)syscall(SYS_brk, NULL);
  syscall(SYS_brk, heap + several);
  touch(heap, page);
  syscall(SYS_brk, heap);
  prctl(PR_GET_NAME, name);
  uname(&names);
  getuid(), geteuid(), getgid(), getegid(), getpid(), getppid();
  isatty(STDOUT_FILENO);
  signal(SIGPIPE, SIG_IGN);
}

/* As a loader does with a library, and an allocator with a large block. */
static void use_memory(void) {
  int file = open(own_file, O_RDONLY | O_CLOEXEC);
  for (int i = 0; i < 2; i++) {
    int flags = MAP_PRIVATE | (i == 0 ? 0 : MAP_ANONYMOUS);
    char *memory = mmap(NULL, several, PROT_READ | PROT_WRITE, flags, i == 0 ? file : -1, 0);
    if (memory == MAP_FAILED)
      continue;
    touch(memory, 2 * page);
    mprotect(memory, several / 4, PROT_READ);
    mprotect(memory + several / 4, several / 4, PROT_READ | PROT_EXEC);
    madvise(memory + several / 2, several / 2, MADV_DONTNEED);
    munmap(memory + several / 2, several / 4);
    munmap(memory, several);
  }
  while (read(file, bytes, sizeof bytes) > 0)
    continue;
  close(file);
}

static void use_files(void) {
  struct stat status;
  DIR *directory = opendir("/");
  while (directory != NULL && readdir(directory) != NULL)
    continue;
  if (directory != NULL)
    closedir(directory);
  getcwd(bytes, sizeof bytes);
  stat("/etc/missing", &status);
  access("/etc/passwd", R_OK);
  for (int i = 0; i < 2; i++) {
    int file = open(i == 0 ? "/etc/passwd" : "/etc/hosts", O_RDONLY | O_CLOEXEC);
    fstat(file, &status);
    lseek(file, 0, SEEK_END);
    pread(file, bytes, page, 0);
    close(file);
  }
  mkdir("/tmp/some", 0755);
  int file = open("/tmp/some/file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  write(file, bytes, sizeof bytes);
  ftruncate(file, page);
  fsync(file);
  close(file);
  chmod("/tmp/some/file", 0600);
  rename("/tmp/some/file", "/tmp/some/other");
  symlink("other", "/tmp/some/link");
  unlink("/tmp/some/link");
  unlink("/tmp/some/other");
  rmdir("/tmp/some");
}

static void *run_thread(void *unused) {
  nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  return unused;
}

/* A child whose output comes by a pipe, as of a shell, and a thread. */
static void use_processes(void) {
  int ends[2];
  if (pipe(ends) < 0)
    return;
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl(own_file, "rehearsal", "answer", (char *)NULL);
    _exit(1);
  }
  close(ends[1]);
  while (read(ends[0], bytes, sizeof bytes) > 0)
    continue;
  close(ends[0]);
  waitpid(child, NULL, 0);
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_thread, NULL) == 0)
    pthread_join(thread, NULL);
}

/* A server and its client. */
static void use_sockets(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct epoll_event event = {.events = EPOLLIN};
  int set = epoll_create1(EPOLL_CLOEXEC);
  if (bind(server, (struct sockaddr *)&address, size) == 0 && listen(server, 8) == 0 &&
      getsockname(server, (struct sockaddr *)&address, &size) == 0 &&
      connect(client, (struct sockaddr *)&address, size) == 0) {
    int connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    epoll_ctl(set, EPOLL_CTL_ADD, connection, &event);
    send(client, bytes, page, 0);
    epoll_wait(set, &event, 1, 100);
    recv(connection, bytes, sizeof bytes, MSG_DONTWAIT);
    close(connection);
  }
  close(set);
  close(client);
  close(server);
}

int rehearse(void) {
  start_up();
  use_memory();
  use_files();
  use_processes();
  use_sockets();
  return answer_rehearsal();
}

int answer_rehearsal(void) { return write(STDOUT_FILENO, "ready\n", 6) != 6; }
