import { open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { TemplateFiles } from '../driver.ts';
import { privateFile } from './template-memory.ts';

/** What is not zero in the private part of a template's memory; the rest of it is holes. */
interface UsedMemory {
  readonly sizeBytes: number;
  /** Where each chunk of `chunkBytes` in the data file belongs. */
  readonly offsets: readonly number[];
}

const chunkBytes = 64 * 1024;
const zeros = Buffer.alloc(chunkBytes);
const readBytes = 4 * 1024 * 1024;

/** Keeps the used chunks of a VM's private memory with the template, for `restorePrivateMemory`. */
export async function savePrivateMemory(files: TemplateFiles, vmId: string): Promise<void> {
  const used = await usedChunks(privateFile(files, vmId));
  const index: UsedMemory = { sizeBytes: used.sizeBytes, offsets: used.offsets };
  await writeFile(dataFile(files), Buffer.concat(used.chunks));
  await writeFile(indexFile(files), JSON.stringify(index));
}

/** Makes the file of a clone's private memory; dispose removes its name. */
export async function restorePrivateMemory(
  files: TemplateFiles,
  vmId: string,
): Promise<AsyncDisposable> {
  const file = privateFile(files, vmId);
  await using undo = new AsyncDisposableStack();
  await using handle = await open(file, 'wx', 0o600);
  undo.defer(() => rm(file, { force: true }));
  const { sizeBytes, offsets } = JSON.parse(await readFile(indexFile(files), 'utf8')) as UsedMemory;
  const data = await readFile(dataFile(files));
  await handle.truncate(sizeBytes);
  for (const [index, offset] of offsets.entries()) {
    await handle.write(data, index * chunkBytes, chunkBytes, offset);
  }
  return undo.move();
}

async function usedChunks(file: string): Promise<UsedMemory & { readonly chunks: Buffer[] }> {
  await using handle = await open(file);
  const { size: sizeBytes } = await handle.stat();
  const offsets: number[] = [];
  const chunks: Buffer[] = [];
  const buffer = Buffer.alloc(readBytes);
  for (let at = 0; at < sizeBytes; at += readBytes) {
    const { bytesRead } = await handle.read(buffer, 0, readBytes, at);
    for (let start = 0; start < bytesRead; start += chunkBytes) {
      const chunk = buffer.subarray(start, start + chunkBytes);
      if (chunk.equals(zeros)) continue;
      offsets.push(at + start);
      chunks.push(Buffer.from(chunk));
    }
  }
  return { sizeBytes, offsets, chunks };
}

function dataFile({ templateDirectory }: TemplateFiles): string {
  return path.join(templateDirectory, 'private-memory');
}

function indexFile({ templateDirectory }: TemplateFiles): string {
  return path.join(templateDirectory, 'private-memory.json');
}
