import { type Query, toSearch } from './query.ts';

/** What `POST /hyper/run` asks for. */
export interface RunRequest {
  readonly query: Query;
  readonly body: object;
}

/** The variable by which early-run tells the number of the socket that has the request. */
export const sentRequestVariable = 'HYPER_SENT_REQUEST';

/** The request as HTTP; `byteLength` counts a text's bytes as UTF-8. */
export function runRequestText(
  { query, body }: RunRequest,
  byteLength: (text: string) => number,
): string {
  const text = JSON.stringify(body);
  const head = [
    `POST /hyper/run${toSearch(query)} HTTP/1.1`,
    ...['Host: hyper', 'Connection: Upgrade, close', 'Upgrade: tcp'],
    ...['Content-Type: application/json', `Content-Length: ${String(byteLength(text))}`],
  ];
  return `${head.join('\r\n')}\r\n\r\n${text}`;
}
