import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { removeCgroups } from './cgroups.ts';
import { ensureDockerTree } from './docker-packages.ts';
import { Enclosure, enclosureAddress } from './enclosure.ts';
import { Engine } from './engine.ts';

/** The tree of Docker Engine becomes the root; the state's folder is /mnt in it. */
const ownRootScript = `set -e
root=$1 state=$2
shift 2
ip link set lo up
ip address add ${enclosureAddress}/32 dev lo
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/host
mount --bind "$state" mnt
pivot_root . run/host
umount -l /run/host
exec "$@"
`;

const daemons = ['dockerd', 'containerd'];

export interface DockerOptions {
  /** Made here, and removed with the daemon; on a file system that overlay2 can use. */
  readonly directory: string;
  /** Of the cgroup that holds all containers. */
  readonly cgroup: string;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** Starts Debian's Docker Engine with containerd and runc, and data and network of its own. */
export async function startDocker(options: DockerOptions): Promise<Engine> {
  const { directory, cgroup, signal } = options;
  const tree = await ensureDockerTree(options.onProgress);
  await using undo = new AsyncDisposableStack();
  await mkdir(directory);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  undo.defer(() => removeCgroups(cgroup));
  const dockerd = [
    ...['dockerd', '--host', 'unix:///mnt/sock', '--storage-driver', 'overlay2'],
    ...['--data-root', '/mnt/data', '--exec-root', '/run/docker', '--pidfile', '/run/docker.pid'],
    ...['--cgroup-parent', `/${cgroup}`],
  ];
  // The first process of a namespace must collect what shims leave to it.
  const command = [tree.directory, directory, '/usr/bin/tini', '-s', '--', ...dockerd];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const enclosure = undo.use(Enclosure.start(command, { script: ownRootScript, env, signal }));
  const socket = path.join(directory, 'sock');
  const isDaemon = ({ name }: { name: string }): boolean => daemons.includes(name);
  return await Engine.open({ socket, enclosure, isDaemon, signal, undo: undo.move() });
}
