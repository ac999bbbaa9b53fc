import { once } from 'node:events';
import type { Duplex } from 'node:stream';

import type { OutputChunk, StdioSession } from '../pod/container-service.ts';

/** How long a client may keep its side open after the process's output ended. */
const lingerMs = 2000;

/** What a chunk of output becomes on the client's connection, in parts. */
export type Encode = (chunk: OutputChunk) => readonly (string | Uint8Array)[];

/** Whether the process's output came to its end, or the client detached or went away before. */
export type SessionEnd = 'output ended' | 'let go';

/** What a client that is still there gets after the output; null: nothing. */
export type Farewell = (end: SessionEnd) => Promise<Uint8Array | null>;

/**
 * Carries a session over a client's connection until the output ends or the client goes away, then
 * closes both. A client that closes its sending side alone gives the process EOF and goes on reading;
 * a terminal has no EOF, so there it is a detach, as with Docker.
 */
export async function pumpSession(
  session: StdioSession,
  connection: Duplex,
  encode: Encode,
  farewell: Farewell = () => Promise.resolve(null),
): Promise<void> {
  connection.on('error', () => undefined);
  try {
    const end = await carry(session, connection, encode);
    const last = connection.destroyed ? null : await farewell(end);
    if (last !== null) {
      connection.write(last);
    }
  } finally {
    await closeConnection(connection);
  }
}

/** Aborts when the connection closes; at once when it has. */
export function abortOnClose(connection: Duplex): AbortController {
  const closed = new AbortController();
  const abort = (): void => {
    closed.abort();
  };
  connection.once('close', abort);
  if (connection.destroyed) {
    abort();
  }
  return closed;
}

/** Holds the session no longer than its output or its client lasts. */
async function carry(
  session: StdioSession,
  connection: Duplex,
  encode: Encode,
): Promise<SessionEnd> {
  await using held = session;
  const left = abortOnClose(connection);
  let end: SessionEnd = 'output ended';
  const letGo = (): void => {
    end = 'let go';
  };
  left.signal.addEventListener('abort', letGo);
  void held.detached.then(letGo);
  if (held.tty && held.stdin !== null) {
    connection.once('end', () => {
      left.abort();
    });
  }
  feedStdin(connection, held);
  try {
    await sendOutput(held, connection, { encode, signal: left.signal });
  } finally {
    connection.unpipe();
  }
  return end;
}

interface SendOptions {
  readonly encode: Encode;
  readonly signal: AbortSignal;
}

async function sendOutput(
  session: StdioSession,
  connection: Duplex,
  { encode, signal }: SendOptions,
): Promise<void> {
  const endOutput = (): void => {
    session.output.destroy();
  };
  signal.addEventListener('abort', endOutput);
  try {
    signal.throwIfAborted();
    for await (const chunk of session.output as AsyncIterable<OutputChunk>) {
      const hasRoom = writeParts(connection, encode(chunk), () => chunk.release?.());
      if (!hasRoom) {
        await once(connection, 'drain', { signal });
      }
    }
  } catch (cause) {
    if (!signal.aborted) {
      throw cause;
    }
  } finally {
    signal.removeEventListener('abort', endOutput);
  }
}

/** Writes parts as one; false when they are too much for now. */
function writeParts(
  connection: Duplex,
  parts: readonly (string | Uint8Array)[],
  onWritten: () => void,
): boolean {
  connection.cork();
  for (const part of parts.slice(0, -1)) connection.write(part);
  const hasRoom = connection.write(parts.at(-1) ?? '', onWritten);
  connection.uncork();
  return hasRoom;
}

function feedStdin(connection: Duplex, { stdin, tty }: StdioSession): void {
  if (stdin === null) {
    connection.resume();
    return;
  }
  // A process that closed its stdin leaves the rest of the input to nobody.
  stdin.on('error', () => {
    connection.unpipe(stdin);
    connection.resume();
  });
  connection.pipe(stdin, { end: !tty });
}

async function closeConnection(connection: Duplex): Promise<void> {
  if (connection.destroyed) {
    return;
  }
  // Unread input would turn the close into a reset that can cost the client its last output.
  connection.resume();
  const closed = once(connection, 'close');
  connection.end();
  const linger = setTimeout(() => connection.destroy(), lingerMs);
  try {
    await closed;
  } catch {
    // An error that closes it is as good.
  } finally {
    clearTimeout(linger);
  }
}
