/*
 * Memory after a fork: what was private is shared copy-on-write, what was shared has to be copied. A private
 * mapping of a file in memory is meant to be shared with hyperd, which QEMU cannot do for a VM that it
 * restores (hyperd/hypervisor/qemu/shared-memory.ts): in a fork it is.
 */
#define _GNU_SOURCE
#include "vm-fork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct mapping {
  char *start;
  size_t size;
  bool is_shared, is_writable, is_in_memfd;
  off_t offset;
  dev_t device;
  ino_t inode;
};

static const char memfd_prefix[] = "/memfd:";

static bool next_mapping(FILE *maps, struct mapping *mapping) {
  char line[4608], flags[5];
  unsigned long start, end, offset, inode;
  unsigned major, minor;
  if (fgets(line, sizeof line, maps) == NULL ||
      sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, flags, &offset, &major,
             &minor, &inode) != 7)
    return false;
  *mapping = (struct mapping){.start = (char *)start,
                              .size = end - start,
                              .is_shared = flags[3] == 's',
                              .is_writable = flags[1] == 'w',
                              .is_in_memfd = strstr(line, memfd_prefix) != NULL,
                              .offset = (off_t)offset,
                              .device = makedev(major, minor),
                              .inode = (ino_t)inode};
  return true;
}

void inherit_memory(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  struct mapping mapping;
  if (maps == NULL)
    return;
  while (next_mapping(maps, &mapping))
    madvise(mapping.start, mapping.size, MADV_DOFORK);
  fclose(maps);
}

/* The descriptor by which QEMU discards parts of the mapped file. */
static int find_file(const struct mapping *mapping) {
  struct stat status;
  for (int fd = 0; fd < 1024; fd++)
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_dev == mapping->device && status.st_ino == mapping->inode)
      return fd;
  errno = ENOENT;
  return -1;
}

/* Into a file as sparse as the first one; the memory is that of a VM that stands still. */
static bool copy_data(int from, int to, const struct mapping *mapping) {
  off_t data = 0, hole = 0;
  while ((data = lseek(from, hole, SEEK_DATA)) >= 0) {
    hole = lseek(from, data, SEEK_HOLE);
    while (data < hole) {
      ssize_t count =
          pwrite(to, mapping->start + data - mapping->offset, (size_t)(hole - data), data);
      if (count <= 0)
        return false;
      data += count;
    }
  }
  return errno == ENXIO;
}

/* An empty file that hyperd finds by the name of the first one, if that has one in memory, too. */
static int make_file(int former) {
  char path[64], link[128] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", former);
  if (readlink(path, link, sizeof link - 1) < 0)
    return -1;
  bool is_in_memory = strncmp(link, memfd_prefix, strlen(memfd_prefix)) == 0;
  *strchrnul(link, ' ') = '\0';
  return memfd_create(is_in_memory ? link + strlen(memfd_prefix) : "guest-memory", MFD_CLOEXEC);
}

static bool copy_mapping(const struct mapping *mapping) {
  struct stat status;
  int file = find_file(mapping);
  int copy = file < 0 ? -1 : make_file(file);
  if (copy < 0 || fstat(file, &status) < 0 || ftruncate(copy, status.st_size) < 0)
    return false;
  /* Through what has been private so far nobody has sent anything. */
  if (mapping->is_shared && !copy_data(file, copy, mapping))
    return false;
  void *start = mmap(mapping->start, mapping->size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, copy, mapping->offset);
  if (start == MAP_FAILED || dup3(copy, file, O_CLOEXEC) < 0)
    return false;
  /* As QEMU has advised for guest memory. */
  madvise(start, mapping->size, MADV_DONTDUMP);
  return close(copy) == 0;
}

bool copy_shared_memory(void) {
  enum { MAX_MAPPINGS = 8 };
  struct mapping found[MAX_MAPPINGS], mapping;
  size_t count = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL)
    return false;
  /* First all of them: copying changes the list. */
  while (next_mapping(maps, &mapping))
    if (mapping.is_writable && (mapping.is_shared || mapping.is_in_memfd) && count < MAX_MAPPINGS)
      found[count++] = mapping;
  fclose(maps);
  if (count == MAX_MAPPINGS) {
    errno = E2BIG;
    return false;
  }
  for (size_t i = 0; i < count; i++)
    if (!copy_mapping(&found[i]))
      return false;
  return true;
}
