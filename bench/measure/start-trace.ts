import type { StartTimeline } from '../../hyperd/api/schema/hyper.ts';
import { CliError } from '../../hyper-cli/cli-error.ts';
import type { Engine } from '../engines/engine.ts';
import { type EventTimes, readEventTimes } from './life.ts';
import type { Timeline } from './phases.ts';
import { inSequence, type Span } from './span.ts';

/** One `docker run --rm`, as it was seen from outside and by hyperd. All but durations is Unix milliseconds. */
export interface ObservedStart {
  readonly calledAt: number;
  readonly at: EventTimes;
  /** hyperd's own phases; they end with the start event. */
  readonly timeline: Timeline;
  readonly returnedAt: number;
}

/**
 * Runs a container that ends at once, and tells the whole command span by span. Null when it was gone
 * before its timeline was read, or its VM came from somewhere else.
 */
export async function traceStart(
  engine: Engine,
  name: string,
  origin: StartTimeline['Origin'],
): Promise<readonly Span[] | null> {
  const calledAt = Date.now();
  const command = ['run', '--rm', '--name', name, 'busybox', 'true'];
  const [timeline, returnedAt] = await Promise.all([
    readTimeline(engine, name),
    engine.docker(...command).then(() => Date.now()),
  ]);
  if (timeline?.Origin !== origin) return null;
  const at = await readEventTimes(engine, name, calledAt);
  return toStartSpans({ calledAt, at, timeline: timeline.Timeline, returnedAt });
}

/** The spans of hyperd between those of its client and of the container. Events have whole milliseconds. */
export function toStartSpans({
  calledAt,
  at,
  timeline,
  returnedAt,
}: ObservedStart): readonly Span[] {
  const phases = Object.entries(timeline);
  const phasesMs = phases.reduce((sum, [, ms]) => sum + ms, 0);
  const around = {
    create: at('create') - calledAt,
    attach: at('start') - at('create') - phasesMs,
    run: at('die') - at('start'),
    teardown: at('destroy') - at('die'),
    exit: returnedAt - at('destroy'),
  };
  const lost = Object.entries(around).find(([, ms]) => Number.isNaN(ms));
  if (lost !== undefined) throw new Error(`no events tell of ${lost[0]}`);
  const spans = [
    ['CLI, create', around.create] as const,
    ['attach', around.attach] as const,
    ...phases,
    ['run', around.run] as const,
    ['teardown', around.teardown] as const,
    ['CLI, exit', around.exit] as const,
  ];
  return inSequence(spans.map(([name, ms]) => [name, Math.max(0, ms)]));
}

/** Asks as soon as the container runs: with --rm its end takes all that is known of it. */
async function readTimeline(engine: Engine, name: string): Promise<StartTimeline | null> {
  const filters = JSON.stringify({ container: [name], event: ['start'] });
  const started = engine.api.lines('GET', '/events', { query: { filters } });
  for await (const _ of started) {
    try {
      return await engine.api.json('GET', `/hyper/containers/${name}/timeline`);
    } catch (thrown) {
      if (thrown instanceof CliError && thrown.status === 404) return null;
      throw thrown;
    }
  }
  return null;
}
