import type { IncomingMessage } from 'node:http';
import type { Static } from 'typebox';

import { HyperError } from '../base/error.ts';
import type { AttachOptions, ExecStartOptions } from '../pod/container-service.ts';
import { speaksAtLeast } from './api-version.ts';
import { multiplexedStreamType, rawStreamType } from './raw-stream.ts';
import type { AttachQuery } from './schema/container.ts';
import type { ExecStartBody } from './schema/exec.ts';
import { flagParameter, textParameter } from './schema/query.ts';

/** Reads the query of both attach routes. */
export function parseAttachQuery(query: Static<typeof AttachQuery>): AttachOptions {
  return {
    stdin: flagParameter(query.stdin),
    stdout: flagParameter(query.stdout),
    stderr: flagParameter(query.stderr),
    logs: flagParameter(query.logs),
    stream: flagParameter(query.stream),
    detachKeys: textParameter(query.detachKeys),
  };
}

/** Reads the body of exec start; ConsoleSize counts from API 1.42 on and needs a terminal. */
export function parseExecStart(
  body: Static<typeof ExecStartBody> | undefined,
  request: IncomingMessage,
): ExecStartOptions {
  const { Detach: detach = false, Tty: tty = false, ConsoleSize: size } = body ?? {};
  if (size === undefined || !speaksAtLeast(request, '1.42')) {
    return { detach, tty, consoleSize: null };
  }
  if (!tty) {
    throw new HyperError('INVALID_ARGUMENT', 'console size is only supported with TTY');
  }
  const [rows, columns] = size;
  return { detach, tty, consoleSize: rows > 0 && columns > 0 ? { rows, columns } : null };
}

/** The content type of a stdio stream: framed streams have had a name of their own since API 1.42. */
export function streamTypeOf(request: IncomingMessage, tty: boolean): string {
  return !tty && speaksAtLeast(request, '1.42') ? multiplexedStreamType : rawStreamType;
}
