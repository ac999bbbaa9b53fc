#include <stdio.h>
#include <sys/utsname.h>

/* Says where it runs: the one thing that a container in a VM shows which others cannot. */
int main(void) {
  struct utsname machine;

  if (uname(&machine) != 0) {
    perror("uname");
    return 1;
  }
  printf("\nHello from a container in a virtual machine of its own.\n\n"
         "hyperd took this image's layers, plugged them into a small VM as read-only disks,\n"
         "and booted the kernel that you see here, for this container alone:\n\n"
         "    %s %s on %s\n\n"
         "Compare it with `uname -r` on your host. Next, try:\n\n"
         "    docker run -it --rm busybox sh\n\n",
         machine.sysname, machine.release, machine.machine);
  return 0;
}
