import { HyperError } from '../../base/error.ts';

/** Every capability of the guest kernel, without CAP_, in the order of their numbers. */
const known = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
] as const;

/** What Docker gives a container that asks for nothing. */
const defaults: readonly string[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
}

/** The capabilities, as `CAP_…`, that Docker's `--cap-add`, `--cap-drop` and `--privileged` come to. */
export function selectCapabilities(request: CapabilityRequest): readonly string[] {
  const added = normalize(request.add, 'CapAdd');
  const dropped = normalize(request.drop, 'CapDrop');
  return choose(added, dropped, request.privileged).map((name) => `CAP_${name}`);
}

function choose(
  added: ReadonlySet<string>,
  dropped: ReadonlySet<string>,
  privileged: boolean,
): readonly string[] {
  if (privileged) return known;
  if (dropped.has('ALL')) return added.has('ALL') ? known : [...added];
  if (added.has('ALL')) return known.filter((name) => !dropped.has(name));
  return [...new Set([...defaults.filter((name) => !dropped.has(name)), ...added])];
}

function normalize(names: readonly string[], field: string): ReadonlySet<string> {
  const plain = names.map((name) => name.trim().toUpperCase().replace(/^CAP_/, ''));
  for (const name of plain) {
    if (name !== 'ALL' && !known.some((candidate) => candidate === name)) {
      const message = `invalid ${field}: unknown capability: "CAP_${name}"`;
      throw new HyperError('INVALID_ARGUMENT', message);
    }
  }
  return new Set(plain);
}
