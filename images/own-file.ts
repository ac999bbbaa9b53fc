import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** A file of our own that goes into an image, from images/files/. */
export function readOwnFile(name: string): Promise<Buffer> {
  return readFile(path.join(import.meta.dirname, 'files', name));
}
