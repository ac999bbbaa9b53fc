import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { withFileLock } from '../setup/file-lock.ts';
import { type DebianArchive, openDebianArchive } from '../setup/debian-archive.ts';
import { archiveDirectory, cacheDirectory } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { lockedShadow, withAccounts } from './accounts.ts';
import { dpkgStatus, type InstalledPackage, unpackPackages } from './debian-packages.ts';
import { LayerTree } from './layer-tree.ts';
import { type BuiltLayer, buildLayer, writeImageArchive } from './oci-archive.ts';
import type { LayerRecipe, Recipe } from './recipe.ts';
import { busybox } from './recipes/busybox.ts';
import { debian } from './recipes/debian.ts';
import { hello } from './recipes/hello.ts';
import { node, python } from './recipes/languages.ts';
import { nginx, postgres, redis } from './recipes/servers.ts';

const recipes = {
  busybox,
  hello,
  debian,
  nginx,
  redis,
  postgres,
  node,
  python,
} as const satisfies Record<string, Recipe>;

export type DemoImageName = keyof typeof recipes;
export const demoImageNames = Object.keys(recipes) as readonly DemoImageName[];

export interface DemoImageOptions {
  readonly cacheDirectory: string;
  readonly onProgress: (line: string) => void;
}

/**
 * Returns the path of an image archive (OCI layout and docker-archive in one tar), from the cache
 * when recipes and builder are unchanged.
 */
export async function buildDemoImage(
  name: DemoImageName,
  options: DemoImageOptions,
): Promise<string> {
  const directory = path.join(options.cacheDirectory, 'images');
  await mkdir(directory, { recursive: true });
  const target = path.join(directory, `${name}-${await hashSources()}.tar`);
  return await withFileLock(path.join(directory, 'lock'), async () => {
    if (!(await exists(target))) {
      options.onProgress(`demo image ${name}: assembling from Debian packages`);
      const scratch = await mkdtemp(path.join(directory, 'scratch-'));
      try {
        const archive = await openDebianArchive(archiveDirectory);
        const staged = path.join(scratch, 'image.tar');
        await assemble(name, archive, { scratch, staged });
        await rename(staged, target);
      } finally {
        await rm(scratch, { recursive: true });
      }
    }
    return target;
  });
}

async function assemble(
  name: DemoImageName,
  archive: DebianArchive,
  paths: { readonly scratch: string; readonly staged: string },
): Promise<void> {
  const recipe: Recipe = recipes[name];
  const layers: BuiltLayer[] = [];
  let state: ImageState = { packages: [], passwd: '', group: '' };
  for (const layer of recipe.layers) {
    const tree = new LayerTree();
    state = await fillTree(tree, layer, state, archive);
    await layer.finish?.(tree, { archive, scratchDirectory: paths.scratch });
    state = readAccounts(tree, state);
    layers.push(await buildLayer(tree, recipe.compression ?? 'gzip', layer.createdBy));
  }
  await writeImageArchive(paths.staged, `${name}:latest`, recipe.config, layers);
}

/** What the layers so far add up to, as far as the next one needs to know. */
interface ImageState {
  readonly packages: readonly InstalledPackage[];
  readonly passwd: string;
  readonly group: string;
}

async function fillTree(
  tree: LayerTree,
  layer: LayerRecipe,
  state: ImageState,
  archive: DebianArchive,
): Promise<ImageState> {
  if (layer.packages.length === 0) return state;
  const added = await unpackPackages(archive, tree, layer.packages, state.packages);
  const packages = [...state.packages, ...added];
  tree.addFile('var/lib/dpkg/status', dpkgStatus(packages));
  if (layer.accounts === undefined) return { ...state, packages };
  const { passwd, group } = withAccounts(state, layer.accounts);
  tree.addFile('etc/passwd', passwd);
  tree.addFile('etc/group', group);
  tree.addFile('etc/shadow', lockedShadow(passwd), 0o640, { gid: 42 });
  return { packages, passwd, group };
}

function readAccounts(tree: LayerTree, state: ImageState): ImageState {
  const passwd = tree.read('etc/passwd')?.toString('utf8') ?? state.passwd;
  const group = tree.read('etc/group')?.toString('utf8') ?? state.group;
  return { ...state, passwd, group };
}

/** Recipes and builder are small: a change of any of them builds the images anew. */
async function hashSources(): Promise<string> {
  const here = import.meta.dirname;
  const files = (await readdir(here, { recursive: true })).filter((file) => /\.(ts|c)$/.test(file));
  const hash = createHash('sha256').update(process.arch);
  for (const file of files.sort()) hash.update(await readFile(path.join(here, file)));
  return hash.digest('hex').slice(0, 16);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch {
    return false;
  }
}

if (process.argv[1] === import.meta.filename) {
  const asked = process.argv.slice(2);
  for (const name of demoImageNames) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const file = await buildDemoImage(name, { cacheDirectory, onProgress: step });
    process.stdout.write(`${file}\n`);
  }
}
