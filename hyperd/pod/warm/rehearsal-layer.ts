import { readFile } from 'node:fs/promises';

import { pack } from 'tar-stream';

import { HyperError } from '../../base/error.ts';

const programName = 'rehearsal';
/** Command line of the rehearsal container, found by its PATH; hyperstart's own program knows the word. */
export const rehearsalCommand: readonly string[] = [programName, 'rehearse'];

/** What images have: a start finds these directories, and adds files to one. */
const directories = ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp'];
const accounts = [
  ['etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'],
  ['etc/group', 'root:x:0:\n'],
] as const;

const headerBytes = 110;
const nameSizeField = 94;
const fileSizeField = 54;

/**
 * The tar of a layer for rehearsal containers: like an image, with hyperstart itself as the only program,
 * taken out of the initramfs, so that nothing of a user's is ever in a template.
 */
export async function rehearsalLayer(initrdPath: string): Promise<AsyncIterable<Buffer>> {
  const program = cpioFile(await readFile(initrdPath), 'init');
  if (program === null) {
    throw new HyperError('UNAVAILABLE', `${initrdPath}: no plain cpio archive with an init in it`);
  }
  const archive = pack();
  const mtime = new Date(0);
  for (const name of directories) archive.entry({ name, type: 'directory', mode: 0o755, mtime });
  for (const [name, text] of accounts) archive.entry({ name, mode: 0o644, mtime }, text);
  archive.entry({ name: `bin/${programName}`, mode: 0o755, mtime }, program);
  archive.finalize();
  return archive as AsyncIterable<Buffer>;
}

/** Contents of a file in a cpio archive ("new ASCII" format, kernel: initramfs/buffer-format). */
function cpioFile(archive: Buffer, wanted: string): Buffer | null {
  let at = 0;
  while (archive.toString('latin1', at, at + 6) === '070701') {
    const field = (offset: number): number =>
      Number.parseInt(archive.toString('latin1', at + offset, at + offset + 8), 16);
    const nameEnd = at + headerBytes + field(nameSizeField);
    const name = archive.toString('latin1', at + headerBytes, nameEnd - 1);
    const start = (nameEnd + 3) & ~3;
    const end = start + field(fileSizeField);
    if (name === wanted) return archive.subarray(start, end);
    const next = (end + 3) & ~3;
    // A header that holds no numbers.
    if (next <= at) return null;
    at = next;
  }
  return null;
}
