import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

import type { FastifyReply } from 'fastify';

/** An answer that is written bit by bit: headers go out at once, writes wait for a slow client. */
export interface ResponseStream {
  write(bytes: string | Uint8Array): Promise<void>;
  writeJson(value: unknown): Promise<void>;
  end(): void;
}

/** Takes the reply over from fastify, with the headers it has so far, and sends status 200. */
export function openResponseStream(reply: FastifyReply, contentType: string): ResponseStream {
  reply.header('content-type', contentType);
  const headers = reply.getHeaders();
  reply.hijack();
  const response = reply.raw;
  response.on('error', () => undefined);
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) {
      response.setHeader(name, value);
    }
  }
  response.writeHead(200);
  response.flushHeaders();
  const write = (bytes: string | Uint8Array): Promise<void> => writeAll(response, bytes);
  return {
    write,
    writeJson: (value) => write(`${JSON.stringify(value)}\r\n`),
    end: () => {
      response.end();
    },
  };
}

async function writeAll(response: ServerResponse, bytes: string | Uint8Array): Promise<void> {
  if (response.destroyed || response.write(bytes)) {
    return;
  }
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  } finally {
    waiting.abort();
  }
}

/** Aborts when the client goes away before its answer is complete. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    gone.abort();
  });
  return gone.signal;
}
