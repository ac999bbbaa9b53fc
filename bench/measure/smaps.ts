/** One mapping of a process, from /proc/<pid>/smaps. */
export interface Mapping {
  /** Its addresses, as /proc/<pid>/map_files names them. */
  readonly range: string;
  /** Such as `rw-p`. */
  readonly permissions: string;
  /** File or pseudo name; '' for anonymous memory. */
  readonly path: string;
  readonly sizeKiB: number;
  readonly pssKiB: number;
  /** What no other process maps, clean or dirty. */
  readonly privateKiB: number;
}

/** Where the memory of a VM's process is, in MB (10⁶ bytes). */
export interface VmMemory {
  readonly pss: number;
  /** Private memory of the mappings that are the guest's RAM. */
  readonly guest: number;
  /** Translated code of the TCG accelerator; 0 with KVM. */
  readonly codeCache: number;
  /** Private memory of the rest of the hypervisor. */
  readonly hypervisor: number;
}

const deleted = ' (deleted)';
const header = /^([0-9a-f]+-[0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)$/;

/** Parses /proc/<pid>/smaps. */
export function parseSmaps(text: string): readonly Mapping[] {
  const starts: { readonly match: RegExpExecArray; readonly fields: Map<string, number> }[] = [];
  for (const line of text.split('\n')) {
    const match = header.exec(line);
    const field = /^(\w+): +(\d+) kB$/.exec(line);
    if (match !== null) starts.push({ match, fields: new Map() });
    else if (field !== null) starts.at(-1)?.fields.set(field[1] ?? '', Number(field[2]));
  }
  return starts.map(({ match: [, range = '', permissions = '', path = ''], fields }) => {
    const of = (name: string): number => fields.get(name) ?? 0;
    return {
      ...{ range, permissions, path, sizeKiB: of('Size'), pssKiB: of('Pss') },
      privateKiB: of('Private_Clean') + of('Private_Dirty'),
    };
  });
}

/** True for a file that only this process can reach, as it has no name any more. */
export function isOwnFile({ permissions, path }: Mapping): boolean {
  return permissions.endsWith('s') && path.endsWith(deleted);
}

/** The files that QEMU's command line (with zero bytes between its words) names as guest memory. */
export function guestMemoryFiles(commandLine: string): readonly string[] {
  const names = [...commandLine.matchAll(/\bmem-path=((?:,,|[^,\0])+)/g)];
  return names.map(([, name = '']) => name.replaceAll(',,', ','));
}

/**
 * Tells the parts of a VM apart: guest memory is the mappings of the given files, without files the
 * largest mapping; the code cache alone is both writable and executable.
 */
export function splitVmMemory(
  mappings: readonly Mapping[],
  guestFiles: readonly string[],
  guestMiB: number,
): VmMemory {
  const largest = Math.max(...mappings.map(({ sizeKiB }) => sizeKiB), 0);
  const isGuest = ({ path, sizeKiB }: Mapping): boolean =>
    guestFiles.length === 0
      ? sizeKiB === largest
      : guestFiles.some((file) => path === file || path === `${file}${deleted}`);
  const guestKiB = sum(mappings.filter(isGuest).map(({ sizeKiB }) => sizeKiB));
  if (guestKiB < guestMiB * 1024) {
    throw new Error(`no mappings are guest memory of ${String(guestMiB)} MiB`);
  }
  const isCodeCache = (mapping: Mapping): boolean =>
    !isGuest(mapping) && mapping.permissions.startsWith('rwx');
  const privateOf = (matches: (mapping: Mapping) => boolean): number =>
    toMegabytes(sum(mappings.filter(matches).map(({ privateKiB }) => privateKiB)));
  return {
    pss: totalPss(mappings),
    guest: privateOf(isGuest),
    codeCache: privateOf(isCodeCache),
    hypervisor: privateOf((mapping) => !isGuest(mapping) && !isCodeCache(mapping)),
  };
}

/** In MB. */
export function totalPss(mappings: readonly Mapping[]): number {
  return toMegabytes(sum(mappings.map(({ pssKiB }) => pssKiB)));
}

/** One field of /proc/meminfo, /proc/<pid>/status or smaps_rollup, in kB as the kernel says. */
export function readField(text: string, name: string): number {
  return Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text.replaceAll('\t', ' '))?.[1]);
}

export function toMegabytes(kibibytes: number): number {
  return (kibibytes * 1024) / 1e6;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
