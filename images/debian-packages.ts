import { once } from 'node:events';

import { run, spawnProcess } from '../hyperd/base/subprocess.ts';
import type { DebianArchive } from '../setup/debian-archive.ts';
import type { LayerTree } from './layer-tree.ts';

/** An installed package, as dpkg's status file knows it. */
export interface InstalledPackage {
  readonly name: string;
  readonly control: string;
}

/**
 * Unpacks packages and what they depend on into a tree, without running their scripts. `present` are
 * packages of the layers beneath. Returns what was added.
 */
export async function unpackPackages(
  archive: DebianArchive,
  tree: LayerTree,
  wanted: readonly string[],
  present: readonly InstalledPackage[],
): Promise<readonly InstalledPackage[]> {
  const known = new Set(present.map(({ name }) => name));
  const names = (await archive.resolve(wanted)).filter((name) => !known.has(name)).sort();
  const debs = await archive.download(names);
  const added: InstalledPackage[] = [];
  for (const [index, deb] of debs.entries()) {
    const tar = spawnProcess('dpkg-deb', ['--fsys-tarfile', deb], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(tar, 'close');
    if (tar.stdout === null) throw new Error(`${deb}: no output from dpkg-deb`);
    await tree.addTar(tar.stdout);
    const [code] = (await closed) as [number | null];
    if (code !== 0) throw new Error(`${deb}: dpkg-deb failed with exit status ${String(code)}`);
    const { stdout } = await run('dpkg-deb', ['--field', deb]);
    added.push({ name: names[index] ?? '', control: stdout.trimEnd() });
  }
  return added;
}

/** /var/lib/dpkg/status for a set of packages. */
export function dpkgStatus(packages: readonly InstalledPackage[]): string {
  return [...packages]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ control }) => {
      const [first = '', ...rest] = control.split('\n');
      return `${[first, 'Status: install ok installed', ...rest].join('\n')}\n`;
    })
    .join('\n');
}
