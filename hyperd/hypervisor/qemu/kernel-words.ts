/**
 * The console is virtio (no exit per character); what the kernel says before that works goes to the serial
 * port, so that an early panic is not silent. A panic resets at once, which `-no-reboot` turns into an
 * exit. `quiet` comes first: it holds only for consoles after it.
 */
const everywhere = [
  ...['quiet', 'console=hvc0', 'earlyprintk=ttyS0', 'panic=-1', 'reboot=t'],
  // The driver would make one interface that every container sees.
  'dummy.numdummies=0',
  // On the second processor, which has nothing to do during a boot.
  'driver_async_probe=virtio_blk,virtio_net',
  // An eighth of the default's buckets for as many connections: each idle VM walks all of them every minute.
  'nf_conntrack.hashsize=8192',
];

/**
 * What only an emulated processor needs not do: check that the timer interrupt works, patch itself, and
 * compare the time stamp counters of its CPUs, which all are the host's clock.
 */
const emulated = ['no_timer_check', 'noreplace-smp', 'tsc=reliable'];

/** Buckets of the kernel's tables of names and files per MiB of memory: a quarter of its defaults. */
const namesPerMiB = 32;
const filesPerMiB = 16;

/** The kernel words that every VM needs. */
export function kernelWords(
  { memoryMiB }: { readonly memoryMiB: number },
  { kvm }: { readonly kvm: boolean },
): readonly string[] {
  // Entries lie scattered over the buckets: of a large table each one costs a clone a page of its own.
  const names = `dhash_entries=${String(memoryMiB * namesPerMiB)}`;
  const files = `ihash_entries=${String(memoryMiB * filesPerMiB)}`;
  return [...everywhere, names, files, ...(kvm ? [] : emulated)];
}
