import { FileType, isDevice, isDirectory } from './file-mode.ts';
import { entriesOf } from './files.ts';
import { isErrno } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

/** Docker's default devices: name, major and minor number. */
const defaultDevices = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
] as const;

const links = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
] as const;

const mountPoints = ['pts', 'shm', 'mqueue'] as const;

/** Fills a fresh directory that becomes /dev of a container. */
export function populateDevices(sys: Sys, directory: string): void {
  for (const [name, major, minor] of defaultDevices) {
    const path = `${directory}/${name}`;
    sys.makeNode(path, FileType.characterDevice | 0o666, major, minor);
    // makeNode is subject to the umask.
    sys.changeMode(path, 0o666);
  }
  for (const [name, target] of links) sys.symbolicLink(target, `${directory}/${name}`);
  for (const name of mountPoints) sys.makeDirectory(`${directory}/${name}`, 0o755);
}

/** Adds the VM's own devices for a privileged container; the agent's channel stays out. */
export function copyVmDevices(sys: Sys, directory: string, source = '/dev'): void {
  const reserved = new Set<string>([
    ...defaultDevices.map(([name]) => name),
    ...links.map(([name]) => name),
    ...mountPoints,
    'console',
    'virtio-ports',
  ]);
  for (const name of entriesOf(sys, source)) {
    if (reserved.has(name) || name.startsWith('vport')) continue;
    copyEntry(sys, `${source}/${name}`, `${directory}/${name}`);
  }
}

function copyEntry(sys: Sys, source: string, target: string): void {
  const status = sys.fileStatus(source);
  if (status === null) return;
  if (isDirectory(status)) {
    sys.makeDirectory(target, 0o755);
    for (const name of entriesOf(sys, source)) {
      copyEntry(sys, `${source}/${name}`, `${target}/${name}`);
    }
  } else if (isDevice(status)) {
    try {
      sys.makeNode(target, status.mode, status.major, status.minor);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    sys.changeMode(target, status.mode & 0o7777);
    sys.changeOwner(target, status.uid, status.gid);
  }
}
