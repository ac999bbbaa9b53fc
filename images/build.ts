import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { HyperError, isErrno } from '../hyperd/base/error.ts';
import { type DebianArchive, openDebianArchive } from '../setup/debian-archive.ts';
import { withFileLock } from '../setup/file-lock.ts';
import { cacheDirectory } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { assemble, planLayers } from './assemble.ts';
import { inputsHash, sourcesHash } from './inputs-hash.ts';
import { LayerTree } from './layer-tree.ts';
import { type BaseImage, readBaseImage, writeImageArchive } from './oci-archive.ts';
import { type DemoImageName, demoImageNames, recipes } from './recipes.ts';

export { type DemoImageName, demoImageNames };

export interface DemoImageOptions {
  readonly cacheDirectory: string;
  readonly onProgress: (line: string) => void;
  /** Asks the Debian archive for newer packages even when the image is in the cache. */
  readonly refresh?: boolean;
}

/** What an image in the cache was made from. */
interface CacheRecord {
  readonly sources: string;
  readonly base: string;
  readonly file: string;
}

/**
 * Returns the path of an image archive, a tar that is both an OCI layout and a docker-archive:
 * from the cache, without network, when it was made by the same recipes and builder; else it is
 * assembled from the newest Debian packages. Rejects INVALID_ARGUMENT for an unknown name.
 */
export async function buildDemoImage(name: string, options: DemoImageOptions): Promise<string> {
  if (!isDemoImageName(name)) {
    throw new HyperError('INVALID_ARGUMENT', `demo image ${name}: no such recipe`, {
      hint: `known are ${demoImageNames.join(', ')}`,
    });
  }
  const { base } = recipes[name];
  const baseFile = base === undefined ? '' : await buildDemoImage(base, options);
  const directory = path.join(options.cacheDirectory, 'images');
  await mkdir(directory, { recursive: true });
  const sources = await sourcesHash();
  const wanted = { sources, base: path.basename(baseFile) };
  // One lock for all: they share the private Debian archive.
  return await withFileLock(path.join(directory, 'lock'), async () => {
    const cached = options.refresh === true ? undefined : await findCached(directory, name, wanted);
    if (cached !== undefined) return cached;
    const file = await buildImage(name, { ...options, directory, sources, baseFile });
    const record: CacheRecord = { ...wanted, file: path.basename(file) };
    await replaceFile(path.join(directory, `${name}.json`), JSON.stringify(record));
    await removeOthers(directory, name, record.file);
    return file;
  });
}

interface BuildContext extends DemoImageOptions {
  readonly directory: string;
  readonly sources: string;
  readonly baseFile: string;
}

async function buildImage(name: DemoImageName, context: BuildContext): Promise<string> {
  const recipe = recipes[name];
  context.onProgress(`demo image ${name}: looking up and downloading Debian packages`);
  const base: BaseImage =
    context.baseFile === ''
      ? { layers: [], tree: new LayerTree() }
      : await readBaseImage(context.baseFile);
  const archive = await openArchive(context.cacheDirectory);
  const layers = await planLayers(recipe, base.tree, archive);
  const debs = layers.flatMap((layer) => [...layer.packages, ...layer.downloads]);
  const hash = inputsHash(
    new Map([
      ['sources', context.sources],
      ['base', path.basename(context.baseFile)],
      ['packages', debs.map((deb) => path.basename(deb)).join('\n')],
    ]),
  );
  const target = path.join(context.directory, `${name}-${hash}.tar`);
  if (await exists(target)) return target;
  context.onProgress(`demo image ${name}: assembling ${String(debs.length)} packages`);
  const scratch = await mkdtemp(path.join(context.directory, 'scratch-'));
  try {
    const built = await assemble(recipe, { base, layers, scratchDirectory: scratch });
    const staged = path.join(scratch, 'image.tar');
    await writeImageArchive(staged, `${name}:latest`, recipe.config, built);
    await rename(staged, target);
  } finally {
    await rm(scratch, { recursive: true });
  }
  return target;
}

async function openArchive(directory: string): Promise<DebianArchive> {
  return await openDebianArchive(path.join(directory, 'debian-archive'));
}

async function findCached(
  directory: string,
  name: DemoImageName,
  wanted: Omit<CacheRecord, 'file'>,
): Promise<string | undefined> {
  const record = await readRecord(path.join(directory, `${name}.json`));
  if (record?.sources !== wanted.sources || record.base !== wanted.base) return undefined;
  const file = path.join(directory, record.file);
  return (await exists(file)) ? file : undefined;
}

async function readRecord(file: string): Promise<CacheRecord | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as CacheRecord;
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function replaceFile(file: string, content: string): Promise<void> {
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
}

/** Earlier archives of the image; whoever has one open keeps its bytes. */
async function removeOthers(directory: string, name: DemoImageName, kept: string): Promise<void> {
  const earlier = new RegExp(`^${name}-[0-9a-f]{16}\\.tar$`);
  for (const file of await readdir(directory)) {
    if (earlier.test(file) && file !== kept) await rm(path.join(directory, file));
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function isDemoImageName(name: string): name is DemoImageName {
  return demoImageNames.some((known) => known === name);
}

/** `node images/build.ts [--refresh] [name…]`: prints the path of each archive. */
if (process.argv[1] === import.meta.filename) {
  const asked = process.argv.slice(2).filter((word) => word !== '--refresh');
  const refresh = process.argv.includes('--refresh');
  for (const name of asked.length === 0 ? demoImageNames : asked) {
    const file = await buildDemoImage(name, { cacheDirectory, onProgress: step, refresh });
    process.stdout.write(`${file}\n`);
  }
}
