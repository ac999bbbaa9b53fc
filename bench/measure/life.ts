import type { Engine } from '../engines/engine.ts';

interface Event {
  readonly Action: string;
  readonly Actor: { readonly Attributes: Readonly<Record<string, string>> };
  readonly timeNano: number;
}

/** The parts of one `docker run --rm`, in milliseconds, by the daemon's events. */
export interface Life {
  /** From created to started. */
  readonly start: number;
  /** From started to the exit of its process. */
  readonly run: number;
  /** From that exit to its removal. */
  readonly teardown: number;
}

/** Unix milliseconds of what happened to a container, by the event's name; NaN for what did not. */
export type EventTimes = (action: string) => number;

/** What became of a removed container since a time (Unix milliseconds). */
export async function readLife(engine: Engine, name: string, sinceUnixMs: number): Promise<Life> {
  const at = await readEventTimes(engine, name, sinceUnixMs);
  const between = (from: string, to: string): number => at(to) - at(from);
  return {
    start: between('create', 'start'),
    run: between('start', 'die'),
    teardown: between('die', 'destroy'),
  };
}

/** The events of a container from a time (Unix milliseconds) until now. */
export async function readEventTimes(
  engine: Engine,
  name: string,
  sinceUnixMs: number,
): Promise<EventTimes> {
  const query = { since: seconds(sinceUnixMs), until: seconds(Date.now()) };
  const at = new Map<string, number>();
  for await (const event of engine.api.lines<Event>('GET', '/events', { query })) {
    if (event.Actor.Attributes['name'] === name) at.set(event.Action, event.timeNano / 1e6);
  }
  return (action) => at.get(action) ?? Number.NaN;
}

function seconds(unixMs: number): string {
  return (unixMs / 1000).toFixed(3);
}
