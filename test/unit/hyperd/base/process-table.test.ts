import { once } from 'node:events';
import { spawn } from 'node:child_process';

import { describe, expect, it } from 'vitest';

import {
  hasEndedWithin,
  isAlive,
  killProcess,
  startTicksOf,
} from '../../../../hyperd/base/process-table.ts';

describe('the process table', () => {
  it('knows a process by pid and start time', () => {
    const startTicks = startTicksOf(process.pid) ?? 0;
    expect(startTicks).toBeGreaterThan(0);
    expect(isAlive(process.pid, startTicks)).toBe(true);
    expect(isAlive(process.pid, startTicks + 1)).toBe(false);
    expect(startTicksOf(2 ** 30)).toBeNull();
  });

  it('reads the start time behind a name that looks like fields', async () => {
    const child = spawn(process.execPath, [
      '-e',
      'process.title = "a) R 1 (b"; console.log(1); setInterval(() => 0, 1000)',
    ]);
    await once(child.stdout, 'data');
    const startTicks = startTicksOf(child.pid ?? 0) ?? 0;
    expect(startTicks).toBeGreaterThanOrEqual(startTicksOf(process.pid) ?? 0);
    const ended = once(child, 'exit');
    killProcess(child.pid ?? 0, startTicks);
    expect((await ended)[1]).toBe('SIGKILL');
  });

  it('kills nobody who only got the pid', async () => {
    const child = spawn('sleep', ['60']);
    const startTicks = startTicksOf(child.pid ?? 0) ?? 0;
    killProcess(child.pid ?? 0, startTicks + 1);
    expect(isAlive(child.pid ?? 0, startTicks)).toBe(true);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });

  it('tells whether a process ends in time', async () => {
    const child = spawn('sleep', ['60']);
    const process = { pid: child.pid ?? 0, startTicks: startTicksOf(child.pid ?? 0) ?? 0 };
    expect(await hasEndedWithin(30, process)).toBe(false);
    child.kill('SIGKILL');
    expect(await hasEndedWithin(5000, process)).toBe(true);
  });
});
