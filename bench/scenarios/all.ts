import { client } from './client.ts';
import { disk } from './disk.ts';
import { exec } from './exec.ts';
import { files } from './files.ts';
import { http } from './http.ts';
import { idle } from './idle.ts';
import { list } from './list.ts';
import { load } from './load.ts';
import { memory } from './memory.ts';
import { parallel } from './parallel.ts';
import { phases } from './phases.ts';
import { reclaim } from './reclaim.ts';
import type { Scenario } from './scenario.ts';
import { sequence } from './sequence.ts';
import { startFlame } from './start-flame.ts';
import { start } from './start.ts';
import { stdio } from './stdio.ts';

/** Every scenario by its name, in the order in which they run. */
export const scenarios = {
  ...{ start, 'start-flame': startFlame, phases, exec, client, memory, reclaim, idle },
  ...{ stdio, disk, files, http, list, load, parallel, sequence },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
