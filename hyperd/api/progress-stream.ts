import type { FastifyReply } from 'fastify';

import { messageOf } from '../base/error.ts';
import type { ProgressMessage } from '../image/image-store.ts';
import { openResponseStream, type ResponseStream } from './response-stream.ts';

/**
 * Runs work that reports progress as Docker's JSON lines. The status is sent with the first line: a
 * failure before it is an ordinary error answer, a later one the stream's last line.
 */
export async function streamProgress(
  reply: FastifyReply,
  work: (report: (message: ProgressMessage) => void) => Promise<void>,
): Promise<void> {
  let stream: ResponseStream | null = null;
  let written = Promise.resolve();
  const report = (message: object): void => {
    const open = (stream ??= openResponseStream(reply, 'application/json'));
    written = written.then(() => open.writeJson(message));
  };
  try {
    await work(report);
    stream ??= openResponseStream(reply, 'application/json');
  } catch (cause) {
    if (stream === null) {
      throw cause;
    }
    report({ errorDetail: { message: messageOf(cause) }, error: messageOf(cause) });
  }
  await written;
  stream.end();
}
