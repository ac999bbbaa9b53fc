import { appendFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import {
  capQemuLog,
  qemuLogPath,
  readQemuLog,
} from '../../../../../hyperd/hypervisor/qemu/qemu-log.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-log-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

it('tells the end of the log, and nothing when there is none', async () => {
  expect(await readQemuLog(directory)).toBe('');
  await writeFile(qemuLogPath(directory), `${'x'.repeat(5000)}\nthe end\n`);
  const tail = await readQemuLog(directory);
  expect(tail).toMatch(/the end$/);
  expect(tail.length).toBeLessThanOrEqual(2000);
});

it('begins a log anew that a guest has made grow, and leaves a small one alone', async () => {
  const file = qemuLogPath(directory);
  await writeFile(file, 'small\n');
  using _ = capQemuLog(directory, 5);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await readQemuLog(directory)).toBe('small');
  await appendFile(file, 'y'.repeat(300 * 1024));
  await vi.waitFor(async () => {
    expect((await stat(file)).size).toBe(0);
  });
});
