import { connectError, responseError } from './cli-error.ts';
import { parseHost } from './host.ts';

/**
 * One small JSON document of hyperd, without node:http, whose loading and first request cost as much
 * as all else that `hyper version` does. HTTP/1.0 has no chunks: the answer ends with its connection.
 */
export async function quickGet<T>(host: string, path: string): Promise<T> {
  const answer = await exchange(host, `GET ${path} HTTP/1.0\r\nHost: hyper\r\n\r\n`);
  const headEnd = answer.indexOf('\r\n\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
  const body = headEnd < 0 ? answer : answer.slice(headEnd + 4);
  if (status !== 200) throw responseError(status, body);
  return JSON.parse(body) as T;
}

function exchange(host: string, request: string): Promise<string> {
  const net = process.getBuiltinModule('node:net');
  const socket = net.connect(parseHost(host)).setEncoding('utf8');
  let answer = '';
  socket.on('data', (text: string) => {
    answer += text;
  });
  socket.write(request);
  return new Promise((resolve, reject) => {
    socket.once('error', (cause) => {
      reject(connectError(host, cause));
    });
    socket.once('end', () => {
      resolve(answer);
    });
  });
}
