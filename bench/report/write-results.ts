import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { toMarkdown } from './markdown.ts';
import { plotsOf } from './plots.ts';
import { type BenchResult, judge } from './result.ts';

/** Writes `latest.json` (with every sample), `latest.md` and its plots in place of the last run's. */
export async function writeResults(directory: string, result: BenchResult): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const file of await readdir(directory)) {
    if (file.endsWith('.svg')) await rm(path.join(directory, file));
  }
  for (const scenario of result.scenarios) {
    for (const { file, svg } of plotsOf(scenario)) await writeFile(path.join(directory, file), svg);
  }
  const bars = judge(result.scenarios);
  const json = JSON.stringify({ ...result, bars }, null, 2);
  await writeFile(path.join(directory, 'latest.json'), `${json}\n`);
  const markdown = toMarkdown(result, (scenario) => plotsOf(scenario).map(({ file }) => file));
  await writeFile(path.join(directory, 'latest.md'), markdown);
}
