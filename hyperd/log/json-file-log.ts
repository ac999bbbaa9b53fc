import { once, EventEmitter } from 'node:events';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { isErrno } from '../base/error.ts';
import type {
  ContainerLog,
  ContainerLogConfig,
  LogEntry,
  LogReadOptions,
  LogStream,
} from './container-log.ts';
import { findTail, GrowingFileReader, readWholeFile } from './file-reader.ts';
import { type JsonFileOptions, parseJsonFileOptions } from './json-file-options.ts';
import { encodeLogLine, parseLogLine } from './json-line.ts';
import { LineSplitter, type TimedLine } from './line-splitter.ts';
import { LogFiles } from './log-files.ts';

/** Opens (or goes on with) the json-file log of a container. */
export async function openJsonFileLog(config: ContainerLogConfig): Promise<ContainerLog> {
  const options = parseJsonFileOptions(config.options);
  await mkdir(config.directory, { recursive: true, mode: 0o700 });
  const file = path.join(config.directory, `${config.containerId}-json.log`);
  return new JsonFileLog(await LogFiles.open(file, options), options);
}

class JsonFileLog implements ContainerLog {
  readonly driver = 'json-file';
  readonly #files: LogFiles;
  readonly #options: JsonFileOptions;
  readonly #splitters: Record<LogStream, LineSplitter> = {
    stdout: new LineSplitter(),
    stderr: new LineSplitter(),
  };
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #lastWrite: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(files: LogFiles, options: JsonFileOptions) {
    this.#files = files;
    this.#options = options;
  }

  write(stream: LogStream, bytes: Uint8Array, unixNanos: bigint): Promise<void> {
    return this.#append(stream, this.#splitters[stream].push(bytes, unixNanos));
  }

  async *read(options: LogReadOptions, signal: AbortSignal): AsyncGenerator<LogEntry> {
    for await (const entry of this.#entries(options, signal)) {
      if (options.untilUnixNanos !== null && entry.unixNanos > options.untilUnixNanos) return;
      if (options.sinceUnixNanos !== null && entry.unixNanos < options.sinceUnixNanos) continue;
      if (options[entry.stream]) yield entry;
    }
  }

  async remove(): Promise<void> {
    await this.#files.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    for (const stream of ['stdout', 'stderr'] as const) {
      await this.#append(stream, this.#splitters[stream].flush());
    }
    this.#isClosed = true;
    this.#changes.emit('change');
    await this.#files.close();
  }

  async *#entries(options: LogReadOptions, signal: AbortSignal): AsyncGenerator<LogEntry> {
    const files = await this.#files.list();
    let generation = this.#files.generation;
    let start = 0;
    if (options.tail === null) {
      for (const file of files.slice(0, -1)) yield* parsed(readWholeFile(file));
    } else {
      const tail = await findTail(this.#files.path, options.tail);
      start = options.tail === 0 ? await endOf(this.#files.path) : tail.offset;
      yield* await lastEntries(files.slice(0, -1), options.tail - tail.found);
    }
    let reader = await GrowingFileReader.open(this.#files.path, start);
    try {
      for (;;) {
        const isRotated = generation !== this.#files.generation;
        yield* parsed(reader.readToEnd());
        if (isRotated) {
          generation = this.#files.generation;
          await reader[Symbol.asyncDispose]();
          reader = await GrowingFileReader.open(this.#files.path);
        } else if (!options.follow || this.#isClosed || signal.aborted) {
          return;
        } else if (generation === this.#files.generation) {
          await this.#nextChange(signal);
        }
      }
    } finally {
      await reader[Symbol.asyncDispose]();
    }
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    try {
      await once(this.#changes, 'change', { signal });
    } catch (thrown) {
      if (!isErrno(thrown, 'ABORT_ERR')) throw thrown;
    }
  }

  #append(stream: LogStream, lines: readonly TimedLine[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    const text = lines
      .map((line) => encodeLogLine({ stream, ...line }, this.#options.attributes))
      .join('');
    const done = this.#lastWrite.then(() => this.#files.append(text));
    // A failed write rejects its own caller; the next one starts afresh.
    this.#lastWrite = done.catch(() => undefined);
    return done.finally(() => this.#changes.emit('change'));
  }
}

async function* parsed(lines: AsyncIterable<string>): AsyncGenerator<LogEntry> {
  for await (const line of lines) {
    const entry = parseLogLine(line);
    if (entry !== null) yield entry;
  }
}

async function lastEntries(files: readonly string[], wanted: number): Promise<LogEntry[]> {
  let kept: LogEntry[] = [];
  for (const file of [...files].reverse()) {
    if (kept.length >= wanted) break;
    const entries: LogEntry[] = [];
    for await (const entry of parsed(readWholeFile(file))) {
      entries.push(entry);
      if (entries.length > wanted - kept.length) entries.shift();
    }
    kept = [...entries, ...kept];
  }
  return kept;
}

async function endOf(file: string): Promise<number> {
  return (await stat(file)).size;
}
