import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { HyperError, messageOf } from '../../base/error.ts';
import { run } from '../../base/subprocess.ts';

/** Dispose: unmounts both; VMs that have files open there go on with them. */
export interface MemoryMounts extends AsyncDisposable {
  /**
   * A ramfs for what all clones of a template share. That filesystem cannot punch holes: a guest can make
   * its hypervisor discard memory (that is how freed memory comes back), and on any other filesystem this
   * would reach through the private mapping into the file, and so into every other clone.
   */
  readonly shared: string;
  /** A tmpfs for the memory that is one VM's own: what a guest frees there goes back to the host. */
  readonly private: string;
}

/** Mounts the two filesystems, or takes over those of a daemon that was killed. UNAVAILABLE when it cannot. */
export async function openMemoryMounts(directory: string): Promise<MemoryMounts> {
  await using undo = new AsyncDisposableStack();
  const shared = path.join(directory, 'shared');
  const own = path.join(directory, 'private');
  const mounted = await mountPoints();
  try {
    for (const [type, target, options] of [
      ['ramfs', shared, 'mode=0700'],
      ['tmpfs', own, 'mode=0700,size=100%'],
    ] as const) {
      await mkdir(target, { recursive: true, mode: 0o700 });
      if (!mounted.has(target)) {
        await run('mount', ['-t', type, '-o', `nosuid,nodev,noexec,${options}`, type, target]);
      }
      undo.defer(async () => {
        await run('umount', ['--lazy', target]);
      });
    }
  } catch (cause) {
    const text = `memory for templates cannot be mounted at ${directory}: ${messageOf(cause)}`;
    throw new HyperError('UNAVAILABLE', text, { cause });
  }
  // Names there belong to VMs that were being started when the former daemon was killed.
  for (const name of await readdir(own)) await rm(path.join(own, name), { force: true });
  const resources = undo.move();
  return { shared, private: own, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Gives back what a daemon that was killed has left mounted there, for one that uses no templates. */
export async function dropMemoryMounts(directory: string): Promise<void> {
  const mounted = await mountPoints();
  for (const name of ['shared', 'private']) {
    const target = path.join(directory, name);
    if (mounted.has(target)) await run('umount', ['--lazy', target]);
  }
}

/** proc(5): white space and backslashes in paths are octal there. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

async function mountPoints(): Promise<ReadonlySet<string>> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return new Set(lines.map((line) => unescape(line.split(' ')[1] ?? '')));
}
