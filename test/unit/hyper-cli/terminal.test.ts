import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { copyFrames } from '../../../hyper-cli/output/terminal.ts';

const written = { stdout: '', stderr: '' };

beforeEach(() => {
  written.stdout = '';
  written.stderr = '';
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((bytes, done) => {
      written[name] += Buffer.from(bytes).toString('latin1');
      (done as unknown as () => void)();
      return true;
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

function frame(stream: 1 | 2, text: string): Buffer {
  const head = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(text.length, 4);
  return Buffer.concat([head, Buffer.from(text, 'latin1')]);
}

/** The bytes, cut at the given places (modulo their number). */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length];
  const sorted = ends.sort((a, b) => a - b);
  return sorted.map((end, index) => bytes.subarray(sorted[index - 1] ?? 0, end));
}

async function* chunksOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

it('takes frames apart to stdout and stderr, wherever the stream is cut', async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1 as const, 2 as const), fc.string()));
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(500)), async (parts, places) => {
      Object.assign(written, { stdout: '', stderr: '' });
      const bytes = Buffer.concat(parts.map(([stream, text]) => frame(stream, text)));
      await copyFrames(chunksOf(cut(bytes, places)), false);
      const textOf = (wanted: number) =>
        parts.map(([stream, text]) => (stream === wanted ? text : '')).join('');
      expect(written).toEqual({ stdout: textOf(1), stderr: textOf(2) });
    }),
    { numRuns: 100 },
  );
});

it('copies the bytes of a terminal as they are', async () => {
  const bytes = frame(2, 'not a frame');
  await copyFrames(chunksOf([bytes]), true);
  expect(written).toEqual({ stdout: bytes.toString('latin1'), stderr: '' });
});

it('fails when our output cannot be written, instead of going on', async () => {
  vi.spyOn(process.stdout, 'write').mockImplementation((_bytes, done) => {
    (done as unknown as (error: Error) => void)(new Error('EPIPE'));
    return false;
  });
  await expect(copyFrames(chunksOf([frame(1, 'x')]), false)).rejects.toThrow('EPIPE');
});
