import { capabilityNames } from '../../../hyperstart/protocol/capability-names.ts';
import { HyperError } from '../../base/error.ts';

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
  if (privileged) return capabilityNames;
  if (dropped.has('ALL')) return added.has('ALL') ? capabilityNames : [...added];
  if (added.has('ALL')) return capabilityNames.filter((name) => !dropped.has(name));
  return [...new Set([...defaults.filter((name) => !dropped.has(name)), ...added])];
}

function normalize(names: readonly string[], field: string): ReadonlySet<string> {
  const plain = names.map((name) => name.trim().toUpperCase().replace(/^CAP_/, ''));
  for (const name of plain) {
    if (name !== 'ALL' && !capabilityNames.some((candidate) => candidate === name)) {
      const message = `invalid ${field}: unknown capability: "CAP_${name}"`;
      throw new HyperError('INVALID_ARGUMENT', message);
    }
  }
  return new Set(plain);
}
