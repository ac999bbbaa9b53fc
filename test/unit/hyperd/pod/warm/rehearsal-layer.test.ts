import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { rehearsalLayer } from '../../../../../hyperd/pod/warm/rehearsal-layer.ts';
import { buildInitrd } from '../../../../../hyperstart/initrd.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-layer-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function layerOf(initrd: Uint8Array | string): Promise<AsyncIterable<Buffer>> {
  const file = path.join(directory, 'initrd');
  await writeFile(file, initrd);
  return rehearsalLayer(file);
}

describe('the layer for rehearsals', () => {
  it.each([0, 1, 2, 3])(
    'holds the init of the initramfs as its only program (%i bytes over)',
    async (over) => {
      const program = `ELF${'x'.repeat(100_000 + over)}`;
      const initrd = buildInitrd([
        { path: 'dev', mode: 0o040755 },
        { path: 'dev/console', mode: 0o020600, device: [5, 1] },
        { path: 'etc/init.conf', mode: 0o100644, content: Buffer.from('not this') },
        { path: 'init', mode: 0o100755, content: Buffer.from(program) },
        { path: 'last', mode: 0o100644, content: Buffer.from('nor this') },
      ]);

      const entries: { name: string; mode: number | undefined; type: unknown; content: string }[] =
        [];
      for await (const entry of Readable.from(await layerOf(initrd)).pipe(extract())) {
        const { name, mode, type } = entry.header;
        entries.push({ name, mode, type, content: await text(entry) });
      }

      expect(entries.at(-1)).toEqual({
        ...{ name: 'bin/rehearsal', mode: 0o755, type: 'file' },
        content: program,
      });
      const files = entries.filter(({ type }) => type === 'file').map(({ name }) => name);
      expect(files).toEqual(['etc/passwd', 'etc/group', 'bin/rehearsal']);
    },
  );

  it.each([
    ['a compressed initramfs', Buffer.from([0x1f, 0x8b, 8, 0])],
    ['an empty file', ''],
    ['an archive without init', buildInitrd([{ path: 'sbin', mode: 0o040755 }])],
    ['a header that holds no numbers', `070701${'z'.repeat(200)}`],
    ['a header with negative sizes', `070701${'-0000100'.repeat(20)}`],
    ['an archive that ends in a header', '070701'],
  ])('cannot be made of %s', async (_what, initrd) => {
    await expect(layerOf(initrd)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `${path.join(directory, 'initrd')}: no plain cpio archive with an init in it`,
    });
  });
});
