import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { buildInitrd } from '../../../hyperstart/initrd.ts';

interface ReadEntry {
  readonly path: string;
  readonly mode: number;
  readonly content: string;
  readonly inode: number;
  readonly modified: number;
  readonly device: readonly [number, number];
}

const headerBytes = 110;
const aligned = (offset: number): number => Math.ceil(offset / 4) * 4;

/** Reads a newc archive as the kernel does, up to its trailer. */
function readArchive(archive: Buffer): readonly ReadEntry[] {
  const entries: ReadEntry[] = [];
  for (let at = 0; ;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const field = (index: number): number =>
      parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + headerBytes + field(11);
    const path = archive.toString('utf8', at + headerBytes, nameEnd - 1);
    expect(archive[nameEnd - 1]).toBe(0);
    const start = aligned(nameEnd);
    const end = start + field(6);
    if (path === 'TRAILER!!!') {
      expect(aligned(end)).toBe(archive.length);
      return entries;
    }
    entries.push({
      path,
      mode: field(1),
      content: archive.toString('latin1', start, end),
      inode: field(0),
      modified: field(5),
      device: [field(9), field(10)],
    });
    at = aligned(end);
  }
}

describe('buildInitrd', () => {
  it('writes directories, device nodes and files in their order', () => {
    const archive = buildInitrd([
      { path: 'dev', mode: 0o040755 },
      { path: 'dev/console', mode: 0o020600, device: [5, 1] },
      { path: 'init', mode: 0o100755, content: Buffer.from('ELF') },
    ]);
    const none = { content: '', modified: 0, device: [0, 0] };
    expect(readArchive(archive)).toEqual([
      { ...none, path: 'dev', mode: 0o040755, inode: 1 },
      { ...none, path: 'dev/console', mode: 0o020600, inode: 2, device: [5, 1] },
      { ...none, path: 'init', mode: 0o100755, inode: 3, content: 'ELF' },
    ]);
  });

  it('measures names in bytes, and pads names and contents of any length', () => {
    const name = fc.stringMatching(/^[a-zé€😀]{1,40}$/u);
    const file = fc.record({ path: name, content: fc.uint8Array({ maxLength: 50 }) });
    fc.assert(
      fc.property(fc.array(file, { maxLength: 6 }), (files) => {
        const archive = buildInitrd(files.map((entry) => ({ ...entry, mode: 0o100644 })));
        const read = readArchive(archive).map(({ path, content }) => ({ path, content }));
        const expected = files.map(({ path, content }) => ({
          path,
          content: Buffer.from(content).toString('latin1'),
        }));
        expect(read).toEqual(expected);
      }),
    );
  });

  it('gives the same bytes for the same entries', () => {
    const entries = [{ path: 'init', mode: 0o100755, content: Buffer.from('x') }];
    expect(buildInitrd(entries).equals(buildInitrd(entries))).toBe(true);
  });
});
