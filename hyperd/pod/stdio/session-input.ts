import { Writable } from 'node:stream';

import { DetachScanner } from '../detach-keys.ts';
import type { AttachSession } from './attach-session.ts';
import type { ProcessStdin } from './process-stdin.ts';

export interface SessionInputOptions {
  readonly session: AttachSession;
  readonly stdin: ProcessStdin;
  /** null: no detach keys, as on a session without a terminal. */
  readonly detachKeys: Uint8Array | null;
  /** The process's stdin ends with this session's. */
  readonly endsStdin: boolean;
}

/** The client's end of a process's stdin, where the detach keys are found. */
export function createSessionInput(options: SessionInputOptions): Writable {
  const { session, stdin, detachKeys, endsStdin } = options;
  const scanner = detachKeys === null ? null : new DetachScanner(detachKeys);
  const feed = async (chunk: Uint8Array): Promise<void> => {
    const { bytes, isDetached } = scanner?.push(chunk) ?? { bytes: chunk, isDetached: false };
    await stdin.write(bytes, session.closed);
    if (isDetached) session.detach();
  };
  const input = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      feed(chunk).then(() => {
        done();
      }, done);
    },
    final: (done) => {
      // As Docker: without a stdin of its own to end, a client that has no more input has left.
      if (endsStdin) void stdin.end();
      else session.close();
      done();
    },
    destroy: (cause, done) => {
      if (endsStdin) void stdin.end();
      done(cause);
    },
  });
  input.on('error', () => undefined);
  return input;
}
