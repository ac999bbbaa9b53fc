import { type Check, integer, nullable, shape, text } from './check.ts';
import type { Empty, StdioStreams } from './message.ts';

/* What messages of both directions have in common. */

export const streamId = integer(1, 0xffffffff);
export const requestId = integer(1);
export const empty: Check<Empty> = shape<Empty>({});

export const streams = shape<StdioStreams>({
  stdin: nullable(streamId),
  stdout: nullable(streamId),
  stderr: nullable(streamId),
});

export const processRef = { containerId: text, execId: nullable(text) };
