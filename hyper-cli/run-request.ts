import type { Socket } from 'node:net';

import { CliError, connectError, responseError } from './cli-error.ts';
import { takeSentRequest } from './config.ts';
import { parseHost } from './host.ts';
import { type RunRequest, runRequestText } from './run-request-text.ts';

const maxHeadBytes = 64 * 1024;
const maxErrorBytes = 64 * 1024;
const headEnd = '\r\n\r\n';

/** A container that has been started, and the connection that has its stdio. */
export interface RunningContainer {
  readonly id: string;
  /** Takes the container's stdin, gives frames as `hyperd/api/schema/hyper.ts` describes them. */
  readonly socket: Socket;
}

/** What the daemon refused. */
export interface RunRefusal {
  readonly error: CliError;
  /** There was a container: it could not be started. */
  readonly wasCreated: boolean;
}

/**
 * `POST /hyper/run`, without node:http, whose loading and first request cost as much as all else that
 * starts a container from here. Rejects when the daemon cannot be reached or knows no such request.
 */
export async function requestRun(
  host: string,
  request: RunRequest,
): Promise<RunningContainer | RunRefusal> {
  const socket = sendRequest(host, request);
  const head = await readHead(socket, host);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
  const id = /^hyper-container: *([0-9a-f]+)\r?$/im.exec(head)?.[1];
  if (status === 101 && id !== undefined) return { id, socket };
  const error = responseError(status, await readStart(socket));
  if (status === 404 && error.message === 'page not found') throw unknownRequest(host);
  return { error, wasCreated: id !== undefined };
}

/** early-run may have sent it before we were there. */
function sendRequest(host: string, request: RunRequest): Socket {
  const net = process.getBuiltinModule('node:net');
  const sent = takeSentRequest();
  const socket =
    sent === null
      ? net.connect({ ...parseHost(host), noDelay: true })
      : new net.Socket({ fd: sent, readable: true, writable: true });
  // Whoever reads gets the errors that matter; input that nobody takes any more is no failure.
  socket.on('error', () => undefined);
  if (sent === null) socket.write(runRequestText(request, (text) => Buffer.byteLength(text)));
  return socket;
}

/** The head of the answer; what follows it is left to be read. */
function readHead(socket: Socket, host: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let received = Buffer.alloc(0);
  const take = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf(headEnd);
    if (end < 0 && received.length < maxHeadBytes) return;
    socket.off('data', take).pause();
    const head = received.subarray(0, end + headEnd.length);
    socket.unshift(received.subarray(head.length));
    resolve(head.toString('latin1'));
  };
  socket.on('data', take);
  socket.once('error', (cause) => {
    reject(connectError(host, cause));
  });
  socket.once('end', () => {
    reject(new CliError(`hyperd at ${host} ended the connection without an answer`));
  });
  return promise;
}

/** The text of an error: short, and the end of its connection. */
async function readStart(socket: Socket): Promise<string> {
  let received = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk]);
    if (received.length > maxErrorBytes) break;
  }
  return received.toString('utf8').trim();
}

function unknownRequest(host: string): CliError {
  return new CliError(
    `${host} is an older hyperd, or no hyperd: it does not know POST /hyper/run`,
    {
      hint: 'restart hyperd, or use the hyper that came with it',
    },
  );
}
