import { once } from 'node:events';
import type { Duplex, Writable } from 'node:stream';

import type { OutputChunk, StdioSession } from '../pod/container-service.ts';

/** How long a client may keep its side open after the process's output ended. */
const lingerMs = 2000;

/** What a chunk of output becomes on the client's connection. */
export type Encode = (chunk: OutputChunk) => string | Uint8Array;

/**
 * Carries a session over a client's connection until the output ends or the client goes away, then
 * closes both. A client that closes its sending side alone gives the process EOF and goes on reading.
 */
export async function pumpSession(
  session: StdioSession,
  connection: Duplex,
  encode: Encode,
): Promise<void> {
  await using held = session;
  const gone = new AbortController();
  connection.on('error', () => undefined);
  connection.once('close', () => {
    gone.abort();
  });
  if (connection.destroyed) {
    gone.abort();
  }
  feedStdin(connection, held.stdin);
  try {
    await sendOutput(held, connection, { encode, signal: gone.signal });
  } finally {
    await closeConnection(connection, gone.signal);
  }
}

interface SendOptions {
  readonly encode: Encode;
  readonly signal: AbortSignal;
}

async function sendOutput(
  session: StdioSession,
  connection: Duplex,
  options: SendOptions,
): Promise<void> {
  const { encode, signal } = options;
  const endOutput = (): void => {
    session.output.destroy();
  };
  signal.addEventListener('abort', endOutput);
  try {
    for await (const chunk of session.output as AsyncIterable<OutputChunk>) {
      if (!connection.write(encode(chunk))) {
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

function feedStdin(connection: Duplex, stdin: Writable | null): void {
  if (stdin === null) {
    connection.resume();
    return;
  }
  // A process that closed its stdin leaves the rest of the input to nobody.
  stdin.on('error', () => {
    connection.unpipe(stdin);
    connection.resume();
  });
  connection.pipe(stdin);
}

async function closeConnection(connection: Duplex, gone: AbortSignal): Promise<void> {
  if (gone.aborted) {
    return;
  }
  // Unread input would turn the close into a reset that can cost the client its last output.
  connection.unpipe();
  connection.resume();
  connection.end();
  const linger = setTimeout(() => connection.destroy(), lingerMs);
  try {
    await once(connection, 'close', { signal: gone });
  } catch {
    // Aborted: it is closed.
  } finally {
    clearTimeout(linger);
  }
}
