import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Static } from 'typebox';

import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';

import type { ContainerService, OutputChunk } from '../pod/container-service.ts';
import { speaksAtLeast } from './api-version.ts';
import { parseAttachQuery } from './attach-options.ts';
import { compileSchema } from './schema/compile.ts';
import { AttachQuery } from './schema/container.ts';
import { parseQuery } from './schema/query.ts';
import { pumpSession } from './stdio-pump.ts';

const maxMessageBytes = 1024 * 1024;

interface Handshake {
  readonly request: IncomingMessage;
  readonly connection: Duplex;
  readonly head: Buffer;
}

/** `GET /containers/{id}/attach/ws`: stdio as websocket messages, unframed; text before API 1.28. */
export function createWebsocketAttach(
  containers: ContainerService,
): (handshake: Handshake, nameOrId: string) => Promise<void> {
  const server = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes });
  return async ({ request, connection, head }, nameOrId) => {
    const query = compileSchema(AttachQuery)(parseQuery(request.url?.split('?')[1] ?? ''));
    const options = parseAttachQuery(query as Static<typeof AttachQuery>);
    const session = await containers.attach(nameOrId, options);
    const upgraded = Promise.withResolvers<WebSocket | null>();
    // The library answers a bad handshake itself and closes the connection.
    connection.once('close', () => {
      upgraded.resolve(null);
    });
    server.handleUpgrade(request, connection, head, upgraded.resolve);
    const socket = await upgraded.promise;
    if (socket === null) {
      await session[Symbol.asyncDispose]();
      return;
    }
    const encode = speaksAtLeast(request, '1.28') ? toBytes : textEncoder();
    const stream = createWebSocketStream(socket, { decodeStrings: false });
    // A websocket has no half-close: its end is the client's leaving.
    stream.once('end', () => stream.destroy());
    await pumpSession(session, stream, encode);
  };
}

function toBytes({ bytes }: OutputChunk): readonly Uint8Array[] {
  return [bytes];
}

function textEncoder(): (chunk: OutputChunk) => readonly string[] {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  return ({ stream, bytes }) => [decoders[stream].decode(bytes, { stream: true })];
}
