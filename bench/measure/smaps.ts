/** One mapping of a process, from /proc/<pid>/smaps. */
export interface Mapping {
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
  /** Private memory of the mapping that is the guest's RAM. */
  readonly guest: number;
  /** Translated code of the TCG accelerator; 0 with KVM. */
  readonly codeCache: number;
  /** Private memory of the rest of the hypervisor. */
  readonly hypervisor: number;
}

const header = /^[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \d+ *(.*)$/;

/** Parses /proc/<pid>/smaps. */
export function parseSmaps(text: string): readonly Mapping[] {
  const mappings: Mapping[] = [];
  let permissions = '';
  let path = '';
  let fields = new Map<string, number>();
  const close = (): void => {
    if (permissions !== '') mappings.push(toMapping(permissions, path, fields));
  };
  for (const line of text.split('\n')) {
    const start = header.exec(line);
    const field = /^(\w+): +(\d+) kB$/.exec(line);
    if (start !== null) {
      close();
      [, permissions = '', path = ''] = start;
      fields = new Map();
    } else if (field !== null) {
      fields.set(field[1] ?? '', Number(field[2]));
    }
  }
  close();
  return mappings;
}

/**
 * Tells the parts of a VM apart: guest RAM is the mapping (or, when the kernel has split it, the
 * mappings of one file) that the guest's memory fits into; the code cache alone is both writable and
 * executable.
 */
export function splitVmMemory(mappings: readonly Mapping[], guestMiB: number): VmMemory {
  const largest = mappings.reduce((a, b) => (b.sizeKiB > a.sizeKiB ? b : a), emptyMapping);
  if (largest.sizeKiB < (guestMiB * 1024) / 2) {
    throw new Error(`no mapping is guest memory of ${String(guestMiB)} MiB`);
  }
  const isGuest = (mapping: Mapping): boolean =>
    mapping === largest || (largest.path !== '' && mapping.path === largest.path);
  const isCodeCache = (mapping: Mapping): boolean =>
    !isGuest(mapping) && mapping.permissions.startsWith('rwx');
  const privateOf = (matches: (mapping: Mapping) => boolean): number =>
    toMegabytes(sum(mappings.filter(matches).map(({ privateKiB }) => privateKiB)));
  return {
    pss: toMegabytes(sum(mappings.map(({ pssKiB }) => pssKiB))),
    guest: privateOf(isGuest),
    codeCache: privateOf(isCodeCache),
    hypervisor: privateOf((mapping) => !isGuest(mapping) && !isCodeCache(mapping)),
  };
}

/** One field of /proc/meminfo, /proc/<pid>/status or smaps_rollup, in kB as the kernel says. */
export function readField(text: string, name: string): number {
  return Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text.replaceAll('\t', ' '))?.[1]);
}

export function toMegabytes(kibibytes: number): number {
  return (kibibytes * 1024) / 1e6;
}

const emptyMapping: Mapping = {
  permissions: '',
  path: '',
  sizeKiB: 0,
  pssKiB: 0,
  privateKiB: 0,
};

function toMapping(
  permissions: string,
  path: string,
  fields: ReadonlyMap<string, number>,
): Mapping {
  const of = (name: string): number => fields.get(name) ?? 0;
  return {
    permissions,
    path,
    sizeKiB: of('Size'),
    pssKiB: of('Pss'),
    privateKiB: of('Private_Clean') + of('Private_Dirty'),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
