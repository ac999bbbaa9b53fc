import { setTimeout as delay } from 'node:timers/promises';

import { Command } from 'commander';

import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { type ListRow, renderList } from '../output/list.ts';
import { type StatsAnswer, statsHeader, toStatsRow } from '../output/stats.ts';

interface StatsOptions {
  readonly stream: boolean;
  readonly json?: boolean;
}

/** The daemon takes as long for an answer, because of its two samples, unless nothing runs. */
const roundMs = 1000;
const clearScreen = '\u001b[H\u001b[J';

/** `hyper stats`. */
export function statsCommand(api: () => ApiClient): Command {
  return new Command('stats')
    .description('what containers use in their VMs, and what these cost the host')
    .argument('[container...]', 'default: all that run')
    .option('--no-stream', 'only once')
    .option('--json', 'one JSON object a line, sizes in bytes')
    .addHelpText(
      'after',
      '\nExamples:\n  hyper stats\n  hyper stats --no-stream --json web\n\n' +
        'HOST MEM is the memory of the VM’s process, with its share of what VMs have in common.',
    )
    .action((names: string[], options: StatsOptions) => showStats(api(), names, options));
}

/** Goes on until the reader or all of the named containers have gone. */
async function showStats(
  api: ApiClient,
  names: readonly string[],
  options: StatsOptions,
): Promise<void> {
  let mayBeGone = names.length === 0;
  for (;;) {
    const startedAt = performance.now();
    const wanted = names.length === 0 ? await runningIds(api) : names;
    const rows = await readRows(api, wanted, mayBeGone);
    if (names.length > 0 && rows.length === 0) return;
    const isScreen = options.stream && options.json !== true && process.stdout.isTTY;
    process.stdout.write((isScreen ? clearScreen : '') + renderList(statsHeader, rows, options));
    if (!options.stream) return;
    mayBeGone = true;
    await delay(Math.max(0, startedAt + roundMs - performance.now()));
  }
}

async function runningIds(api: ApiClient): Promise<readonly string[]> {
  const containers = await api.json<readonly { Id: string }[]>('GET', '/containers/json');
  return containers.map(({ Id }) => Id);
}

async function readRows(
  api: ApiClient,
  names: readonly string[],
  mayBeGone: boolean,
): Promise<readonly ListRow[]> {
  const rows = names.map(async (name) => {
    try {
      const path = `/containers/${name}/stats`;
      return [toStatsRow(await api.json<StatsAnswer>('GET', path, { query: { stream: 0 } }))];
    } catch (thrown) {
      if (mayBeGone && thrown instanceof CliError && thrown.status === 404) return [];
      throw thrown;
    }
  });
  return (await Promise.all(rows)).flat();
}
