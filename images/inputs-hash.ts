import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A short hash over named parts, independent of their order. */
export function inputsHash(parts: ReadonlyMap<string, string | Buffer>): string {
  const hash = createHash('sha256');
  for (const [name, content] of [...parts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // Lengths keep one part from passing as the end of another.
    hash.update(`${name}\0${String(content.length)}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

/** The hash of the recipes, the builder and what shapes their bytes: the machine and compressors. */
export async function sourcesHash(): Promise<string> {
  const here = import.meta.dirname;
  const files = (await readdir(here, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => path.join(entry.parentPath, entry.name));
  const parts = new Map<string, string | Buffer>([
    ['architecture', process.arch],
    ['compressors', `${process.versions.zlib} ${process.versions['zstd'] ?? ''}`],
  ]);
  for (const file of files) parts.set(path.relative(here, file), await readFile(file));
  return inputsHash(parts);
}
