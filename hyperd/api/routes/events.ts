import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { DockerEvent } from '../../pod/container-service.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Filters, parseFilters, passesAny } from '../filters.ts';
import { clientSignal, openResponseStream } from '../response-stream.ts';
import { EventsQuery } from '../schema/system.ts';
import { textParameter, timestampParameter } from '../schema/query.ts';

const filterNames = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
];

/** `GET /events`: kept events since a time, then live ones until a time or until the client leaves. */
export function eventRoutes({ containers, closing }: ApiDependencies): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/events', { schema: { querystring: EventsQuery } }, async (request, reply) => {
      const { query } = request;
      const filters = parseFilters(textParameter(query.filters), filterNames);
      const since = timestampParameter(query.since, 'since');
      const until = timestampParameter(query.until, 'until');
      const done = new AbortController();
      const signal = AbortSignal.any([closing, clientSignal(reply), done.signal]);
      const events = containers.events.subscribe(since, signal);
      const stream = openResponseStream(reply, 'application/json');
      const deadline = until === null ? null : endAt(until, done);
      try {
        for await (const event of events) {
          if (until !== null && event.unixNanos > until) {
            break;
          }
          if (matches(event, filters)) {
            await stream.write(`${renderEvent(event)}\n`);
          }
        }
      } catch (cause) {
        if (!signal.aborted) {
          throw cause;
        }
      } finally {
        clearTimeout(deadline ?? undefined);
        done.abort();
        stream.end();
      }
    });
    return Promise.resolve();
  };
}

const longestTimerMs = 2 ** 31 - 1;
/** Kept events are replayed before a time that is over already ends the stream. */
const replayGraceMs = 50;

function endAt(untilUnixNanos: bigint, done: AbortController): NodeJS.Timeout {
  const remainingMs = Number(untilUnixNanos / 1_000_000n) - Date.now();
  const waitMs = Math.min(Math.max(remainingMs, replayGraceMs), longestTimerMs);
  return setTimeout(() => {
    done.abort();
  }, waitMs);
}

function matches(event: DockerEvent, filters: Filters): boolean {
  const named = (type: DockerEvent['type']): boolean =>
    passesAny(filters, type, (value) => event.type === type && isActor(event, value));
  return (
    passesAny(filters, 'type', (type) => event.type === type) &&
    passesAny(
      filters,
      'event',
      (action) => event.action === action || event.action.startsWith(`${action}:`),
    ) &&
    passesAny(filters, 'scope', (scope) => scope === 'local') &&
    named('container') &&
    passesAny(filters, 'image', (image) => isOfImage(event, image)) &&
    named('network') &&
    named('volume') &&
    named('daemon') &&
    ['config', 'node', 'plugin', 'secret', 'service'].every((name) =>
      passesAny(filters, name, () => false),
    ) &&
    (filters.get('label') ?? []).every((label) => hasLabel(event, label))
  );
}

function isActor(event: DockerEvent, value: string): boolean {
  return event.actorId.startsWith(value) || event.attributes['name'] === value;
}

function isOfImage(event: DockerEvent, image: string): boolean {
  const stripped = (name: string): string => name.replace(/:[^/:]*$/, '');
  const names =
    event.type === 'image'
      ? [event.actorId, event.attributes['name'] ?? '']
      : [event.attributes['image'] ?? ''];
  return names.some((name) => name === image || stripped(name) === image);
}

function hasLabel({ attributes }: DockerEvent, label: string): boolean {
  const [name = '', value] = label.split(/=(.*)/s);
  return value === undefined ? name in attributes : attributes[name] === value;
}

/** Written by hand for `timeNano`: it has more digits than a JavaScript number holds. */
function renderEvent(event: DockerEvent): string {
  const isFlat = event.type === 'container' || event.type === 'image';
  const from = event.type === 'container' ? event.attributes['image'] : undefined;
  const head = JSON.stringify({
    ...(isFlat ? { status: event.action, id: event.actorId } : {}),
    ...(from === undefined ? {} : { from }),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.actorId, Attributes: event.attributes },
    scope: 'local',
    time: Number(event.unixNanos / 1_000_000_000n),
  });
  return `${head.slice(0, -1)},"timeNano":${String(event.unixNanos)}}`;
}
