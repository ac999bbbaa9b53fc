import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';

import { HyperError } from '../../base/error.ts';
import type { LogEntry, LogReadOptions } from '../../log/container-log.ts';
import type { TerminalSize } from '../../pod/container-service.ts';
import { streamTypeOf } from '../attach-options.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type HijackedConnection, refuse } from '../hijacked-connection.ts';
import { encoderFor } from '../raw-stream.ts';
import { toNanoTimestamp } from '../render/render-time.ts';
import { clientSignal, openResponseStream } from '../response-stream.ts';
import { AttachQuery, ContainerParams, LogsQuery, ResizeQuery } from '../schema/container.ts';
import { ExecStartBody } from '../schema/exec.ts';
import {
  flagParameter,
  integerParameter,
  textParameter,
  timestampParameter,
} from '../schema/query.ts';
import { hijackAttach, hijackExecStart } from '../stream-hijack.ts';
import { takeConnection } from '../take-connection.ts';

/** Attach and exec start for clients that do not ask for an upgrade; resize. */
export function stdioRoutes(dependencies: ApiDependencies): FastifyPluginAsyncTypebox {
  const { containers, logger } = dependencies;
  return async (app) => {
    const attachSchema = { params: ContainerParams, querystring: AttachQuery };
    app.post('/containers/:id/attach', { schema: attachSchema }, async (request, reply) => {
      // A refusal is still an ordinary answer: the connection is taken only for what will succeed.
      containers.get(request.params.id);
      const hijacked = hijack(request, reply);
      try {
        await hijackAttach(dependencies, request.params.id, { hijacked, query: request.query });
      } catch (cause) {
        refuse(hijacked.connection, cause, logger);
      }
    });

    const startSchema = { params: ContainerParams, body: ExecStartBody };
    app.post('/exec/:id/start', { schema: startSchema }, async (request, reply) => {
      containers.getExec(request.params.id);
      const hijacked = hijack(request, reply);
      try {
        await hijackExecStart(dependencies, request.params.id, { hijacked, body: request.body });
      } catch (cause) {
        refuse(hijacked.connection, cause, logger);
      }
    });

    const resizeSchema = { params: ContainerParams, querystring: ResizeQuery };
    app.post('/containers/:id/resize', { schema: resizeSchema }, async (request, reply) => {
      await containers.resize(request.params.id, parseSize(request.query));
      return reply.status(200).send();
    });
    app.post('/exec/:id/resize', { schema: resizeSchema }, async (request, reply) => {
      await containers.resizeExec(request.params.id, parseSize(request.query));
      return reply.status(200).send();
    });
    return Promise.resolve();
  };
}

/** `GET /containers/{id}/logs`. */
export function logRoutes({ containers, closing }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    const schema = { params: ContainerParams, querystring: LogsQuery };
    app.get('/containers/:id/logs', { schema }, async (request, reply) => {
      const { query } = request;
      const options = parseLogsQuery(query);
      const container = containers.get(request.params.id);
      const tty = container.config.Tty === true;
      const decorate = lineDecorator(flagParameter(query.timestamps), flagParameter(query.details));
      const encode = encoderFor(tty);
      const signal = AbortSignal.any([closing, clientSignal(reply)]);
      const entries = containers.logs(container.id, options, signal)[Symbol.asyncIterator]();
      if (container.hostConfig.LogConfig?.Type === 'none') {
        throw new HyperError('UNSUPPORTED', 'configured logging driver does not support reading');
      }
      // A log that cannot be read says so at its first entry, when there is still a status to send.
      const first = options.follow ? null : await entries.next();
      const stream = openResponseStream(reply, streamTypeOf(request.raw, tty));
      try {
        for (
          let next = first ?? (await entries.next());
          next.done !== true;
          next = await entries.next()
        ) {
          const { value } = next;
          await stream.write(encode({ stream: value.stream, bytes: decorate(value) }));
        }
      } catch (cause) {
        // A client that left in the middle is no failure.
        if (!signal.aborted) {
          throw cause;
        }
      } finally {
        stream.end();
      }
    });
    return Promise.resolve();
  };
}

function hijack(request: FastifyRequest, reply: FastifyReply): HijackedConnection {
  return { request: request.raw, connection: takeConnection(reply), upgraded: false };
}

function parseSize(query: Static<typeof ResizeQuery>): TerminalSize {
  return { rows: sizeParameter(query.h, 'h'), columns: sizeParameter(query.w, 'w') };
}

function sizeParameter(values: readonly string[] | undefined, name: string): number {
  const value = integerParameter(values, name);
  if (value === null || value < 0 || value > 65_535) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `invalid resize ${name === 'h' ? 'height' : 'width'} "${textParameter(values)}"`,
    );
  }
  return value;
}

function parseLogsQuery(query: Static<typeof LogsQuery>): LogReadOptions {
  const stdout = flagParameter(query.stdout);
  const stderr = flagParameter(query.stderr);
  if (!stdout && !stderr) {
    throw new HyperError('INVALID_ARGUMENT', 'Bad parameters: you must choose at least one stream');
  }
  return {
    follow: flagParameter(query.follow),
    stdout,
    stderr,
    tail: parseTail(textParameter(query.tail)),
    sinceUnixNanos: timestampParameter(query.since, 'since'),
    untilUnixNanos: timestampParameter(query.until, 'until'),
  };
}

/** What is not a number means all, as with Docker. */
function parseTail(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function lineDecorator(timestamps: boolean, details: boolean): (entry: LogEntry) => Uint8Array {
  if (!timestamps && !details) {
    return (entry) => entry.bytes;
  }
  return (entry) => {
    const time = timestamps ? `${toNanoTimestamp(entry.unixNanos)} ` : '';
    const attributes = details ? `${renderAttributes(entry.attributes)} ` : '';
    return Buffer.concat([Buffer.from(time + attributes), entry.bytes]);
  };
}

function renderAttributes(attributes: Readonly<Record<string, string>>): string {
  return Object.entries(attributes)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join(',');
}
