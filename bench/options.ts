import { parseArgs } from 'node:util';

export const scenarioNames = ['cold', 'memory', 'stdio', 'load'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export interface BenchOptions {
  readonly runs: number;
  /** How much goes through stdin and stdout. */
  readonly stdioMiB: number;
  readonly scenarios: readonly ScenarioName[];
}

export const usage = `Usage: npm run bench -- [--runs N] [--size SIZE | --full] [--only NAME]...

  --runs N      measure everything N times (default 5; long measurements at most 3 times)
  --size SIZE   bytes through stdin and stdout, such as 64M or 2G (default 256M)
  --full        the same as --size 1G
  --only NAME   one of ${scenarioNames.join(', ')}; may be repeated
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
    },
  });
  if (values.full && values.size !== undefined)
    throw new Error('--full and --size exclude each other');
  const only = (values.only ?? []).map(parseScenario);
  return {
    runs: parseRuns(values.runs),
    stdioMiB: values.full ? 1024 : parseSize(values.size ?? '256M'),
    scenarios:
      only.length === 0 ? scenarioNames : scenarioNames.filter((name) => only.includes(name)),
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
