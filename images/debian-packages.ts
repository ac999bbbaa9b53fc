import { once } from 'node:events';
import type { Readable } from 'node:stream';

import { HyperError } from '../hyperd/base/error.ts';
import { run, spawnProcess } from '../hyperd/base/subprocess.ts';
import { type PackageControl, recordPackages } from './dpkg-database.ts';
import { addPackageFiles, readTarFiles } from './layer-tar.ts';
import type { LayerTree } from './layer-tree.ts';
import { cleanPath } from './package-path.ts';

/** Unpacks packages into a tree and records them as installed. None of their scripts is run. */
export async function unpackPackages(tree: LayerTree, debs: readonly string[]): Promise<void> {
  const controls: PackageControl[] = [];
  for (const deb of debs) {
    const paths = await readDeb(deb, '--fsys-tarfile', (tar) => addPackageFiles(tree, tar));
    const { stdout: fields } = await run('dpkg-deb', ['--field', deb]);
    const members = await readDeb(deb, '--ctrl-tarfile', readTarFiles);
    controls.push({
      fields,
      members: new Map(
        [...members].flatMap(([name, content]) =>
          cleanPath(name) === '' ? [] : [[cleanPath(name), content] as const],
        ),
      ),
      paths,
    });
  }
  recordPackages(tree, controls);
}

/** The content of one file of a package. */
export async function readPackageFile(deb: string, path: string): Promise<Buffer> {
  const files = await readDeb(deb, '--fsys-tarfile', readTarFiles);
  const content = files.get(`./${path}`);
  if (content === undefined) throw new Error(`${deb}: no file ${path} in it`);
  return content;
}

async function readDeb<T>(
  deb: string,
  part: '--fsys-tarfile' | '--ctrl-tarfile',
  read: (tar: Readable) => Promise<T>,
): Promise<T> {
  const child = spawnProcess('dpkg-deb', [part, deb], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  if (child.stdout === null) throw new Error(`${deb}: dpkg-deb has no output`);
  const [result, [code]] = await Promise.all([
    read(child.stdout),
    closed as Promise<[code: number | null]>,
  ]);
  if (code !== 0) {
    throw new HyperError(
      'INTERNAL',
      `reading ${deb}: dpkg-deb failed with status ${String(code)}`,
      {
        hint: `delete ${deb}; it is downloaded anew at the next build`,
      },
    );
  }
  return result;
}
