/*
 * The program as it is when it has been loaded: memory that is part of the binary. To load it anew takes an
 * emulated processor 50 ms. What is in memory by then is one section (snapshot.ld); the linker's output, in
 * which nothing is loaded yet, loads the program and writes what the section has become to a file.
 */
#include "native.h"

#include <fcntl.h>
#include <unistd.h>

extern const uint8_t snapshot_start[], snapshot_end[];

int write_snapshot(const char *path) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (const uint8_t *from = snapshot_start; from < snapshot_end;) {
    ssize_t written = write(file, from, (size_t)(snapshot_end - from));
    if (written <= 0)
      fatal("the snapshot cannot be written");
    from += written;
  }
  return close(file);
}
