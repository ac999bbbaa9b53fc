/** A container's log; `openContainerLog` (open.ts) makes one for a driver name. */
export interface ContainerLog extends AsyncDisposable {
  readonly driver: LogDriverName;
  /** Resolves when the bytes are with the operating system, and are needed no more; callers wait before they take more (back-pressure). */
  write(stream: LogStream, bytes: Uint8Array, unixNanos: bigint): Promise<void>;
  /**
   * Entries in order; with `follow` goes on until the signal aborts or the log is closed.
   * INVALID_STATE with Docker's message when the driver does not support reading.
   */
  read(options: LogReadOptions, signal: AbortSignal): AsyncIterable<LogEntry>;
  /** Deletes the log's files; the log must be closed. */
  remove(): Promise<void>;
}

export type LogDriverName = 'json-file' | 'none';
export type LogStream = 'stdout' | 'stderr';

export interface LogReadOptions {
  readonly follow: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Entries from the end; null: all. */
  readonly tail: number | null;
  readonly sinceUnixNanos: bigint | null;
  readonly untilUnixNanos: bigint | null;
}

export interface LogEntry {
  readonly stream: LogStream;
  readonly unixNanos: bigint;
  /** A line with its newline, or a part of an over-long or unfinished one. */
  readonly bytes: Uint8Array;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface ContainerLogConfig {
  readonly driver: string;
  /** json-file: max-size, max-file, compress, labels, env, tag (as Docker); unknown ones INVALID_ARGUMENT by name. */
  readonly options: Readonly<Record<string, string>>;
  /** Directory of the container; json-file writes `<id>-json.log` in it. */
  readonly directory: string;
  readonly containerId: string;
}
