import { copyVmDevices, populateDevices } from './device-nodes.ts';
import { isDirectory } from './file-mode.ts';
import { statusInRoot } from './image-file.ts';
import { MountFlag, parseTmpfsOptions } from './mount-flags.ts';
import type { ContainerConfig, TmpfsMount } from './protocol/message.ts';
import { RequestError } from './request-error.ts';
import type { MountOptions, Sys } from './sys/sys.ts';
import type { Undo } from './undo.ts';

const { noSuid, noExec, noDev, readOnly, bind, strictAtime } = MountFlag;
const hardened = noSuid | noExec | noDev;

/** Where a container's rootfs, /dev and own files are put together. */
export interface ContainerPaths {
  /** Private to the container. */
  readonly directory: string;
  readonly root: string;
}

/**
 * Prepares what is mounted into a container besides its rootfs, and returns the mounts for its
 * namespaces, in order. Targets are paths in the container.
 */
export function prepareMounts(
  sys: Sys,
  paths: ContainerPaths,
  config: ContainerConfig,
  undo: Undo,
): readonly MountOptions[] {
  const devices = prepareDevices(sys, paths, config, undo);
  const tmpfs = [...config.mounts].sort((a, b) => depth(a.target) - depth(b.target));
  const hasOwnShm = tmpfs.some((mount) => cleanPath(mount.target) === '/dev/shm');
  return [
    filesystem('proc', '/proc', hardened, ''),
    { source: devices, target: '/dev', type: '', flags: bind, data: '' },
    filesystem('devpts', '/dev/pts', noSuid | noExec, 'newinstance,ptmxmode=0666,mode=0620,gid=5'),
    ...kernelMounts(config.privileged),
    ...(hasOwnShm ? [] : [sharedMemory(config.shmSizeBytes)]),
    ...tmpfs.map((mount) => tmpfsMount(sys, paths.root, mount)),
    ...prepareFiles(sys, paths, config),
  ];
}

function kernelMounts(privileged: boolean): readonly MountOptions[] {
  const sysFlags = hardened | (privileged ? 0 : readOnly);
  return [
    filesystem('sysfs', '/sys', sysFlags, ''),
    filesystem('cgroup2', '/sys/fs/cgroup', sysFlags, ''),
    filesystem('mqueue', '/dev/mqueue', hardened, ''),
  ];
}

function sharedMemory(sizeBytes: number): MountOptions {
  return filesystem('tmpfs', '/dev/shm', hardened, `mode=1777,size=${String(sizeBytes)}`);
}

function filesystem(type: string, target: string, flags: number, data: string): MountOptions {
  return { source: type, target, type, flags, data };
}

function prepareDevices(
  sys: Sys,
  paths: ContainerPaths,
  config: ContainerConfig,
  undo: Undo,
): string {
  const directory = `${paths.directory}/dev`;
  sys.makeDirectory(directory, 0o755);
  sys.mount(filesystemAt(directory));
  undo.add(`unmounting ${directory}`, () => {
    sys.unmount(directory, true);
  });
  populateDevices(sys, directory);
  if (config.privileged) copyVmDevices(sys, directory);
  if (config.process.tty) sys.writeFile(`${directory}/console`, '', 0o600);
  return directory;
}

function filesystemAt(target: string): MountOptions {
  const flags = noSuid | strictAtime;
  return { source: 'tmpfs', target, type: 'tmpfs', flags, data: 'mode=755,size=65536k' };
}

function tmpfsMount(sys: Sys, root: string, mount: TmpfsMount): MountOptions {
  const target = cleanPath(mount.target);
  if (target === '/' || /^\/(proc|sys)(\/|$)/.test(target)) {
    throw new RequestError('UNSUPPORTED', `a tmpfs cannot be mounted at ${target}`);
  }
  const { flags, data } = parseTmpfsOptions(mount.options);
  // What the image has beneath /dev is hidden by our own /dev.
  const status = target.startsWith('/dev/') ? null : statusInRoot(sys, root, target);
  if (status !== null && !isDirectory(status)) {
    throw new RequestError('INVALID_ARGUMENT', `mounting a tmpfs at ${target}: not a directory`);
  }
  // The directory that is covered lends its mode, unless one is given.
  const inherited = status === null ? '' : `mode=${(status.mode & 0o7777).toString(8)}`;
  return filesystem('tmpfs', target, flags, [inherited, data].filter((t) => t !== '').join(','));
}

function prepareFiles(
  sys: Sys,
  paths: ContainerPaths,
  config: ContainerConfig,
): readonly MountOptions[] {
  const files = {
    hosts: config.hostsFile,
    hostname: `${config.hostname}\n`,
    'resolv.conf': config.resolvConfFile,
  };
  return Object.entries(files).map(([name, text]) => {
    const source = `${paths.directory}/${name}`;
    sys.writeFile(source, text, 0o644);
    sys.changeMode(source, 0o644);
    return { source, target: `/etc/${name}`, type: '', flags: bind, data: '' };
  });
}

/** Without empty, `.` and `..` parts. Targets that are not absolute are refused. */
function cleanPath(path: string): string {
  if (!path.startsWith('/')) {
    throw new RequestError('INVALID_ARGUMENT', `mount target "${path}" is not absolute`);
  }
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

function depth(path: string): number {
  return cleanPath(path).split('/').length;
}
