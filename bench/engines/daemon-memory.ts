import { readField, toMegabytes } from '../measure/smaps.ts';
import type { Engine } from './engine.ts';
import { readIfAlive } from './processes.ts';

/** Memory of the daemon's own processes in MB: a field of a file of /proc/<pid>. */
export async function daemonMemory(
  engine: Engine,
  file: 'status' | 'smaps_rollup',
  field: 'VmRSS' | 'VmHWM' | 'Pss',
): Promise<number> {
  const processes = await engine.daemonProcesses();
  if (processes.length === 0) throw new Error('the daemon has ended');
  const texts = await Promise.all(processes.map(({ pid }) => readIfAlive(pid, file)));
  return toMegabytes(texts.reduce((total, text) => total + readField(text, field), 0));
}
