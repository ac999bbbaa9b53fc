import { once } from 'node:events';
import { connect } from 'node:net';

import { messageOf } from '../hyperd/base/error.ts';

/**
 * `node bench/http-load.ts ADDRESS PORT REQUESTS CONNECTIONS`: asks for `/` so many times over
 * kept-open connections, one request at a time on each; prints the milliseconds that all took.
 * A program of its own, as it runs in the network namespace of the daemon under test.
 */
const [address = '', port = '', requests = '', connections = ''] = process.argv.slice(2);
const request = `GET / HTTP/1.1\r\nHost: ${address}\r\n\r\n`;
/** nginx closes a connection after a thousand requests. */
const requestsPerConnection = 500;
const startedAt = performance.now();
let left = Number(requests);
try {
  await Promise.all(Array.from({ length: Number(connections) }, askUntilDone));
  process.stdout.write(`${String(performance.now() - startedAt)}\n`);
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exit(1);
}

async function askUntilDone(): Promise<void> {
  while (left > 0) await askOverOneConnection();
}

async function askOverOneConnection(): Promise<void> {
  const socket = connect({ host: address, port: Number(port), noDelay: true });
  socket.setTimeout(30_000, () => {
    socket.destroy(new Error('no answer for 30 s'));
  });
  await once(socket, 'connect');
  const chunks: AsyncIterator<string> = socket.setEncoding('latin1')[Symbol.asyncIterator]();
  for (let count = 0; count < requestsPerConnection && left > 0; count++) {
    left--;
    socket.write(request);
    let received = '';
    while (!isComplete(received)) {
      const chunk = await chunks.next();
      if (chunk.done === true) throw new Error('the server has closed the connection');
      received += chunk.value;
    }
    if (!received.startsWith('HTTP/1.1 200 ')) throw new Error(received.split('\r\n')[0]);
  }
  socket.destroy();
}

function isComplete(response: string): boolean {
  const end = response.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(response)?.[1];
  if (length === undefined) throw new Error('an answer without a length');
  return response.length >= end + 4 + Number(length);
}
