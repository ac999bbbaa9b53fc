import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { HyperError, isErrno, messageOf } from '../base/error.ts';
import { type ChildProcess, spawnProcess } from '../base/subprocess.ts';
import { isDecompressionError, openCompressed } from './decompress.ts';
import { type Digest, DigestMeter, hexOf } from './digest.ts';
import { TarFilter } from './tar-filter.ts';

export interface ConvertedLayer {
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly sizeBytes: number;
}

export interface ConvertOptions {
  readonly signal: AbortSignal;
  /** Compressed bytes consumed so far. */
  readonly onProgress?: (bytes: number) => void;
}

interface ConversionJob extends ConvertOptions {
  readonly what: string;
  readonly expected: Digest | null;
}

const stderrTailChars = 1000;
const bufferBytes = 256 * 1024;
/** Same tar, same bytes: no UUID, no build time; file contents start at block borders. */
const mkfsOptions = [
  '--quiet',
  '--tar=f',
  '--aufs',
  '-Uclear',
  '-T0',
  '--mkfs-time',
  '-Enoinline_data',
];

/**
 * mkfs.erofs ends with us, whatever ends us: of its own it would wait for the rest of the tar forever,
 * burning a processor. As root it keeps no capability: the tar that it parses is a stranger's.
 */
const confinement = [
  ...['--pdeathsig', 'KILL', '--no-new-privs'],
  ...(process.getuid?.() === 0 ? ['--inh-caps=-all', '--bounding-set=-all'] : []),
];

/** Turns layer tars into EROFS images, content-addressed by diffId, without unpacking them anywhere. */
export class LayerConverter {
  readonly #directory: string;
  readonly #mkfsErofs: string;

  private constructor(directory: string, mkfsErofs: string) {
    this.#directory = directory;
    this.#mkfsErofs = mkfsErofs;
  }

  /** Removes what a killed daemon left half-made. */
  static async open(directory: string, mkfsErofs: string): Promise<LayerConverter> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const file of await readdir(directory)) {
      if (file.endsWith('.tmp')) await rm(path.join(directory, file));
    }
    return new LayerConverter(directory, mkfsErofs);
  }

  /** Makes the image of a single tar in a directory, and returns its path. */
  static async convertInto(
    directory: string,
    mkfsErofs: string,
    tar: AsyncIterable<Buffer>,
  ): Promise<string> {
    const converter = await LayerConverter.open(directory, mkfsErofs);
    const signal = new AbortController().signal;
    return converter.pathOf((await converter.convert(tar, null, { signal })).diffId);
  }

  /** Where the image of a layer is, or will be. */
  pathOf(diffId: Digest): string {
    return path.join(this.#directory, `${hexOf(diffId)}.erofs`);
  }

  /** All diffIds that have an image. */
  async list(): Promise<readonly Digest[]> {
    const files = await readdir(this.#directory);
    return files
      .filter((file) => file.endsWith('.erofs'))
      .map((file) => `sha256:${file.slice(0, 64)}`);
  }

  /** Returns the bytes freed. */
  async remove(diffId: Digest): Promise<number> {
    const file = this.pathOf(diffId);
    const { blocks } = await stat(file);
    await rm(file);
    return blocks * 512;
  }

  /**
   * Converts a layer (tar, plain or compressed) as it streams in. With `expected`, a different diffId
   * is an error. On failure nothing is left behind.
   */
  async convert(
    layer: AsyncIterable<Buffer>,
    expected: Digest | null,
    options: ConvertOptions,
  ): Promise<ConvertedLayer> {
    const what = expected === null ? 'layer' : `layer ${expected.slice(0, 19)}`;
    const temporary = path.join(this.#directory, `${randomUUID()}.tmp`);
    const mkfs = new MkfsProcess(this.#mkfsErofs, temporary);
    try {
      const converted = await stream(layer, mkfs, { ...options, what, expected });
      await sync(temporary);
      await rename(temporary, this.pathOf(converted.diffId));
      await sync(this.#directory);
      return converted;
    } catch (thrown) {
      await mkfs.kill();
      await rm(temporary, { force: true });
      options.signal.throwIfAborted();
      throw explain(mkfs.spawnFault ?? thrown, what, mkfs.stderr);
    }
  }
}

/** mkfs.erofs, reading a tar from its stdin. */
class MkfsProcess {
  readonly child: ChildProcess;
  stderr = '';
  /** Why it did not even start. */
  spawnFault: unknown = null;
  readonly #ended: Promise<unknown[]>;

  constructor(binary: string, target: string) {
    const command = [...confinement, '--', binary, ...mkfsOptions, target];
    this.child = spawnProcess('setpriv', command, { stdio: ['pipe', 'ignore', 'pipe'] });
    this.#ended = once(this.child, 'close');
    this.#ended.catch((cause: unknown) => {
      this.spawnFault = cause;
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-stderrTailChars);
    });
  }

  /** Rejects when it failed or could not be started. */
  async ended(): Promise<void> {
    const [code, killedBy] = (await this.#ended) as [number | null, string | null];
    if (code !== 0) {
      throw new Error(killedBy === null ? `exit status ${String(code)}` : `killed by ${killedBy}`);
    }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended.catch(() => undefined);
  }
}

async function stream(
  layer: AsyncIterable<Buffer>,
  mkfs: MkfsProcess,
  job: ConversionJob,
): Promise<ConvertedLayer> {
  const { stdin } = mkfs.child;
  if (stdin === null) throw new Error('mkfs.erofs has no input');
  const { decompressor, source } = await openCompressed(layer, job.what);
  const meter = new DigestMeter({ highWaterMark: bufferBytes });
  const filter = new TarFilter(job.what);
  await pipeline(counted(source, job.onProgress), decompressor, meter, filter, stdin, {
    signal: job.signal,
  });
  await mkfs.ended();
  const diffId = meter.digest();
  if (job.expected !== null && diffId !== job.expected) {
    const text = `${job.what}: its content has the digest ${diffId}, the image config says ${job.expected}`;
    throw new HyperError('INVALID_ARGUMENT', text);
  }
  return { diffId, sizeBytes: meter.bytes };
}

/** Tells how much was taken; a listener for data would start the flow too early. */
async function* counted(
  source: AsyncIterable<Buffer>,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Buffer> {
  let consumed = 0;
  for await (const chunk of source) {
    consumed += chunk.length;
    onProgress?.(consumed);
    yield chunk;
  }
}

/** What mkfs.erofs says counts more than that it stopped reading. */
function explain(thrown: unknown, what: string, stderr: string): unknown {
  if (thrown instanceof HyperError) return thrown;
  if (isDecompressionError(thrown)) {
    const text = `${what}: it cannot be decompressed: ${messageOf(thrown)}`;
    return new HyperError('INVALID_ARGUMENT', text, { cause: thrown });
  }
  const missing = isErrno(thrown, 'ENOENT') ? 'setpriv (util-linux)' : 'mkfs.erofs';
  if (missing !== 'mkfs.erofs' || stderr.includes('setpriv: failed to execute')) {
    const text = `${what}: ${missing} cannot be started: ${stderr.trim() || 'not installed'}`;
    return new HyperError('UNAVAILABLE', text, { cause: thrown });
  }
  const detail = stderr.trim() === '' ? messageOf(thrown) : stderr.trim();
  if (/No space left|ENOSPC/.test(detail)) {
    return new HyperError('INTERNAL', `${what}: no space left on device`, {
      cause: thrown,
      hint: 'remove images that are not needed, or move the data root to a larger disk',
    });
  }
  return new HyperError('INTERNAL', `${what}: mkfs.erofs cannot convert it: ${detail}`, {
    cause: thrown,
  });
}

async function sync(file: string): Promise<void> {
  await using handle = await open(file, 'r');
  await handle.sync();
}
