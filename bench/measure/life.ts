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

/** What became of a removed container since a time (Unix milliseconds). */
export async function readLife(engine: Engine, name: string, sinceUnixMs: number): Promise<Life> {
  const query = { since: seconds(sinceUnixMs), until: seconds(Date.now()) };
  const at = new Map<string, number>();
  for await (const event of engine.api.lines<Event>('GET', '/events', { query })) {
    if (event.Actor.Attributes['name'] === name) at.set(event.Action, event.timeNano / 1e6);
  }
  const between = (from: string, to: string): number =>
    (at.get(to) ?? Number.NaN) - (at.get(from) ?? Number.NaN);
  return {
    start: between('create', 'start'),
    run: between('start', 'die'),
    teardown: between('die', 'destroy'),
  };
}

function seconds(unixMs: number): string {
  return (unixMs / 1000).toFixed(3);
}
