import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import { openDebianArchive } from '../../setup/debian-archive.ts';
import { withFileLock } from '../../setup/file-lock.ts';
import { archiveDirectory, cacheDirectory } from '../../setup/paths.ts';

/** Docker Engine with what it runs; `mount` is for the script that enters the unpacked tree. */
const packages = ['docker.io', 'containerd', 'runc', 'iptables', 'mount'];
const mergedIntoUsr = ['bin', 'sbin', 'lib', 'lib64'];
const mountPoints = ['dev', 'proc', 'sys', 'run', 'tmp', 'mnt', 'root'];

/** A tree with Docker Engine in it. */
export interface DockerTree {
  readonly directory: string;
  /** Debian's version of docker.io. */
  readonly version: string;
}

/**
 * Debian's Docker Engine with all libraries that it needs, unpacked into the build cache: it runs with
 * its own libc, nothing of it is installed on the host. Without network when it is there already.
 */
export async function ensureDockerTree(onProgress: (line: string) => void): Promise<DockerTree> {
  const peers = path.join(cacheDirectory, 'peers');
  await mkdir(peers, { recursive: true });
  return await withFileLock(path.join(peers, 'lock'), async () => {
    const present = (await readdir(peers)).filter((name) => /^docker-[^/]*\d$/.test(name)).sort();
    const newest = present.at(-1);
    if (newest !== undefined) return toTree(path.join(peers, newest));
    onProgress('downloading Docker Engine, containerd and runc (Debian packages)');
    const archive = await openDebianArchive(archiveDirectory);
    const version = await archive.version('docker.io');
    const debs = await archive.download(await archive.resolve(packages));
    const staging = path.join(peers, 'staging');
    await rm(staging, { recursive: true, force: true });
    await unpack(debs, staging);
    // A colon ends a path in many a list of paths.
    const directory = path.join(peers, `docker-${version.replace(/^\d+:/, '')}`);
    await rename(staging, directory);
    return toTree(directory);
  });
}

function toTree(directory: string): DockerTree {
  return { directory, version: path.basename(directory).replace('docker-', '') };
}

async function unpack(debs: readonly string[], directory: string): Promise<void> {
  for (const name of mountPoints) await mkdir(path.join(directory, name), { recursive: true });
  for (const name of mergedIntoUsr) {
    await mkdir(path.join(directory, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, path.join(directory, name));
  }
  for (const deb of debs) await run('dpkg-deb', ['--extract', deb, directory]);
  // What update-alternatives would do.
  for (const name of ['iptables', 'ip6tables']) {
    await symlink('xtables-nft-multi', path.join(directory, 'usr/sbin', name));
  }
}
