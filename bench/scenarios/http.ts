import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { enclosureAddress } from '../engines/enclosure.ts';
import type { Engine } from '../engines/engine.ts';
import { addPair, compare } from './compare.ts';
import type { Scenario } from './scenario.ts';

const program = path.join(import.meta.dirname, '../http-load.ts');
const port = 8080;
const requests = 2000;
const connections = 8;
const readyAttempts = 100;

/** Requests from the host to a web server through a published port. */
export const http: Scenario = {
  title: `${String(requests)} HTTP requests to nginx through a published port, kept-open connections`,
  async measure(lab, { fewRuns }, findings) {
    await using engines = await lab.prepare(['default', 'docker'], ['nginx']);
    for (const count of [1, connections]) {
      const times = await compare({
        engines,
        rounds: fewRuns,
        signal: lab.signal,
        async measure(engine, round) {
          if (round === 0) await serve(engine);
          return await load(engine, requests, count);
        },
      });
      addPair(findings, times, {
        what: count === 1 ? '1 connection' : `${String(count)} connections`,
        unit: 'requests/s',
        convert: (milliseconds) => (requests / milliseconds) * 1000,
      });
    }
  },
};

/** Runs the server anew, until it answers. */
async function serve(engine: Engine): Promise<void> {
  await engine.removeContainers();
  await engine.docker('run', '-d', '-p', `${String(port)}:80`, 'nginx');
  for (let attempt = 1; ; attempt++) {
    try {
      await load(engine, 1, 1);
      return;
    } catch (thrown) {
      if (attempt === readyAttempts) throw thrown;
      await delay(100);
    }
  }
}

async function load(engine: Engine, count: number, parallel: number): Promise<number> {
  const args = [program, enclosureAddress, ...[port, count, parallel].map(String)];
  return Number(await engine.inNetwork(process.execPath, args));
}
