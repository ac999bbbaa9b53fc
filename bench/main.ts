import { setMaxListeners } from 'node:events';
import path from 'node:path';

import { messageOf } from '../hyperd/base/error.ts';
import { root } from '../setup/paths.ts';
import { step } from '../setup/progress.ts';
import { formatLimit, type Bar, bars } from './bars.ts';
import { findLeftovers } from './engines/leftovers.ts';
import { Lab } from './engines/lab.ts';
import { Findings } from './findings.ts';
import { currentLoad, describeMachine } from './machine.ts';
import { type BenchOptions, parseOptions, scenarioNames, usage } from './options.ts';
import type { ScenarioResult } from './report/result.ts';
import { toSummary, toText } from './report/terminal.ts';
import { writeResults } from './report/write-results.ts';
import { type ScenarioName, scenarios } from './scenarios/all.ts';

/** `npm run bench`: measures what docs/benchmarks.md describes. */
// https://no-color.org: any value but the empty one.
const isColored = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
const options = readOptions();
if (options?.list === true) process.stdout.write(describeAll());
else if (options !== null) await main(options);

function readOptions(): BenchOptions | null {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`bench: ${messageOf(thrown)}\n\n${usage}`);
    process.exitCode = 2;
    return null;
  }
}

async function main(chosen: BenchOptions): Promise<void> {
  const interrupted = new AbortController();
  // Every command that runs listens, and many run at once.
  setMaxListeners(0, interrupted.signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Once: a second signal ends the bench at once, and the kernel ends what it started.
    process.once(signal, () => {
      interrupted.abort(new Error(`ended by ${signal}`));
    });
  }
  let directory = '';
  try {
    await using lab = await Lab.open({ docker: chosen.docker, signal: interrupted.signal });
    ({ directory } = lab);
    await measureAll(lab, chosen);
  } catch (thrown) {
    process.stderr.write(`bench: ${messageOf(thrown)}\n`);
    process.exitCode = 1;
  }
  const leftovers = directory === '' ? [] : await findLeftovers(directory);
  if (leftovers.length === 0) return;
  process.stderr.write(`bench: left behind: ${leftovers.join(', ')}\n`);
  process.exitCode = 1;
}

async function measureAll(lab: Lab, { scenarios: names, effort }: BenchOptions): Promise<void> {
  const machine = await describeMachine(lab, root, currentLoad());
  const results: ScenarioResult[] = [];
  for (const name of names) {
    step(`bench: ${name} (${String(results.length + 1)} of ${String(names.length)})`);
    const findings = new Findings();
    let failure: string | null = null;
    try {
      await scenarios[name].measure(lab, effort, findings);
    } catch (thrown) {
      lab.signal.throwIfAborted();
      failure = messageOf(thrown);
      process.exitCode = 1;
    }
    const { figures, gaps, traces } = findings;
    const result = { name, title: scenarios[name].title, figures, gaps, traces, failure };
    process.stdout.write(`\n${toText(result, isColored)}`);
    results.push(result);
  }
  const result = { machine, scenarios: results };
  await writeResults(path.join(root, 'bench/results'), result);
  process.stdout.write(`\n${toSummary(result, isColored)}`);
}

function describeAll(): string {
  const line = (name: ScenarioName): string => {
    const own: readonly Bar[] = Object.values(bars).filter(({ scenario }) => scenario === name);
    const limits = own.map(
      (bar) => `\n${' '.repeat(12)}bar: ${bar.what} ${formatLimit(bar, bar.limit)}`,
    );
    return `${name.padEnd(12)}${scenarios[name].title}${limits.join('')}\n`;
  };
  return scenarioNames.map(line).join('');
}
