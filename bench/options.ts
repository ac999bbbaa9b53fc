import { parseArgs } from 'node:util';

import type { Effort } from './scenarios/scenario.ts';
import { type ScenarioName, scenarios } from './scenarios/all.ts';

export const scenarioNames = Object.keys(scenarios) as readonly ScenarioName[];

export interface BenchOptions {
  readonly effort: Effort;
  readonly scenarios: readonly ScenarioName[];
  readonly docker: boolean;
  /** Says what there is, and measures nothing. */
  readonly list: boolean;
}

export const usage = `Usage: npm run bench -- [--only NAME,…] [--runs N] [--full] [--size SIZE] [--no-docker] [--list]

  --only NAME,…   these scenarios only; may be repeated
  --runs N        measure everything N times (default 5; what takes long at most 3 times)
  --full          1 GiB through stdin and stdout and on the disk
  --size SIZE     bytes through stdin and stdout, such as 64M or 2G (default 128M)
  --no-docker     without Docker Engine as a peer: what is compared with it is not measured
  --list          list the scenarios and the bars
`;

/** Parses the command line; throws what is wrong with it, for people. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '5' },
      size: { type: 'string' },
      full: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      'no-docker': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const { full } = values;
  if (full && values.size !== undefined) throw new Error('--full and --size exclude each other');
  const runs = parseRuns(values.runs);
  const stdioMiB = full ? 1024 : parseSize(values.size ?? '128M');
  const only = (values.only ?? []).flatMap((names) => names.split(',')).map(parseScenario);
  return {
    effort: { runs, fewRuns: Math.min(runs, 3), stdioMiB, full },
    scenarios:
      only.length === 0 ? scenarioNames : scenarioNames.filter((name) => only.includes(name)),
    docker: !values['no-docker'],
    list: values.list,
  };
}

function parseRuns(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`--runs ${text}: not a number from 1 to 9999`);
  return Number(text);
}

function parseSize(text: string): number {
  const match = /^([1-9]\d{0,5})([MG])$/.exec(text);
  if (match === null) throw new Error(`--size ${text}: not a size such as 64M or 2G`);
  return Number(match[1]) * (match[2] === 'G' ? 1024 : 1);
}

function parseScenario(text: string): ScenarioName {
  const name = scenarioNames.find((known) => known === text);
  if (name === undefined) throw new Error(`--only ${text}: known are ${scenarioNames.join(', ')}`);
  return name;
}
