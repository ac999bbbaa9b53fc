import type { Socket } from 'node:net';

import type { FastifyReply } from 'fastify';

/**
 * Takes a request's connection away from Node's HTTP server, for the old form of attach and exec
 * start that has no upgrade: from now on what arrives is the process's stdin, not a next request.
 */
export function takeConnection(reply: FastifyReply): Socket {
  reply.hijack();
  const { socket } = reply.raw;
  if (socket === null) {
    throw new Error('the connection of this request is gone');
  }
  reply.raw.detachSocket(socket);
  for (const event of ['data', 'end', 'drain', 'timeout']) {
    socket.removeAllListeners(event);
  }
  socket.setTimeout(0);
  return socket;
}
