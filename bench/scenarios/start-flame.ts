import type { StartTimeline } from '../../hyperd/api/schema/hyper.ts';
import type { Engine } from '../engines/engine.ts';
import type { Lab } from '../engines/lab.ts';
import { type Absent, interleave, type Measurement, withPresent } from '../measure/series.ts';
import type { Span } from '../measure/span.ts';
import { traceStart } from '../measure/start-trace.ts';
import type { Scenario } from './scenario.ts';
import { rest } from './start.ts';

/** From where each mode's VMs are to come. */
const origins = { cold: 'boot', template: 'template', pool: 'pool' } as const satisfies Record<
  string,
  StartTimeline['Origin']
>;

type Mode = keyof typeof origins;

const modes = Object.keys(origins) as readonly Mode[];

/** A trace is lost when the container ends before it is asked for. */
const attempts = 3;

/** The start path, walked with a stop-watch: every span of one start in each mode of hyperd. */
export const startFlame: Scenario = {
  title: '`docker run --rm busybox true`, span by span',
  async measure(lab, { runs }, findings) {
    await using engines = await lab.prepare(modes, ['busybox']);
    const trace = (mode: Mode): Measurement<readonly Span[]> | Absent =>
      withPresent(
        engines.get(mode),
        (engine) => (round) => traceOnce(lab, engine, { mode, name: `${mode}${String(round)}` }),
      );
    const subjects = { cold: trace('cold'), template: trace('template'), pool: trace('pool') };
    const traced = await interleave(runs, subjects, lab.signal);
    for (const mode of modes) findings.addTrace(mode, traced[mode]);
  },
};

async function traceOnce(
  { signal }: Lab,
  engine: Engine,
  { mode, name }: { readonly mode: Mode; readonly name: string },
): Promise<readonly Span[]> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const spans = await traceStart(engine, `${name}-${String(attempt)}`, origins[mode]);
    await rest(engine, mode === 'pool', signal);
    if (spans !== null) return spans;
  }
  throw new Error(`${String(attempts)} starts, and no timeline of one whose VM is of the ${mode}`);
}
