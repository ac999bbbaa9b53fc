import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { LogReadOptions } from '../../../../hyperd/log/container-log.ts';
import { openContainerLog } from '../../../../hyperd/log/open.ts';

const everything: LogReadOptions = {
  follow: false,
  stdout: true,
  stderr: true,
  tail: null,
  sinceUnixNanos: null,
  untilUnixNanos: null,
};
const never = new AbortController().signal;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-log-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

function open(options: Record<string, string> = {}, driver = 'json-file') {
  return openContainerLog({ driver, options, directory, containerId: 'c1' });
}

async function texts(
  log: Awaited<ReturnType<typeof open>>,
  options: Partial<LogReadOptions> = {},
): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of log.read({ ...everything, ...options }, never)) {
    found.push(`${entry.stream}:${Buffer.from(entry.bytes).toString()}`);
  }
  return found;
}

describe('json-file log', () => {
  it('gives back lines of both streams in the order written', async () => {
    await using log = await open();
    await log.write('stdout', Buffer.from('one\ntwo\n'), 1n);
    await log.write('stderr', Buffer.from('three\n'), 2n);
    expect(await texts(log)).toEqual(['stdout:one\n', 'stdout:two\n', 'stderr:three\n']);
    expect(await texts(log, { stdout: false })).toEqual(['stderr:three\n']);
  });

  it('joins a line that came in pieces and keeps an unfinished one until the log closes', async () => {
    const log = await open();
    await log.write('stdout', Buffer.from('hel'), 1n);
    await log.write('stdout', Buffer.from('lo\nend'), 2n);
    expect(await texts(log)).toEqual(['stdout:hello\n']);
    await log[Symbol.asyncDispose]();
    await using reopened = await open();
    expect(await texts(reopened)).toEqual(['stdout:hello\n', 'stdout:end']);
  });

  it('splits a line longer than 16 KiB', async () => {
    await using log = await open();
    await log.write('stdout', Buffer.from(`${'x'.repeat(20_000)}\n`), 1n);
    expect((await texts(log)).map((text) => text.length - 'stdout:'.length)).toEqual([16384, 3617]);
  });

  it('reads only the tail, the time range, or nothing, as asked', async () => {
    await using log = await open();
    for (let line = 1; line <= 5; line++) {
      await log.write('stdout', Buffer.from(`${String(line)}\n`), BigInt(line) * 1_000_000_000n);
    }
    expect(await texts(log, { tail: 2 })).toEqual(['stdout:4\n', 'stdout:5\n']);
    expect(await texts(log, { tail: 0 })).toEqual([]);
    expect(await texts(log, { tail: 99 })).toHaveLength(5);
    expect(
      await texts(log, { sinceUnixNanos: 2_000_000_000n, untilUnixNanos: 3_000_000_000n }),
    ).toEqual(['stdout:2\n', 'stdout:3\n']);
  });

  it('follows through a rotation without losing or repeating a line', async () => {
    const log = await open({ 'max-size': '300', 'max-file': '3' });
    const followed: string[] = [];
    const reading = (async () => {
      for await (const entry of log.read({ ...everything, follow: true }, never)) {
        followed.push(Buffer.from(entry.bytes).toString().trim());
      }
    })();
    const written = Array.from({ length: 12 }, (_, index) => String(index));
    for (const line of written) {
      await log.write('stdout', Buffer.from(`${line}\n`), 1n);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await log[Symbol.asyncDispose]();
    await reading;
    expect(followed).toEqual(written);
    expect(await readdir(directory)).toHaveLength(3);
  });

  it('reads compressed rotated files, also for a tail that reaches into them', async () => {
    await using log = await open({ 'max-size': '150', 'max-file': '4', compress: 'true' });
    for (let line = 1; line <= 6; line++)
      await log.write('stdout', Buffer.from(`${String(line)}\n`), 1n);
    expect((await readdir(directory)).some((file) => file.endsWith('.gz'))).toBe(true);
    expect((await texts(log, { tail: 4 })).map((text) => text.trim().at(-1))).toEqual([
      '3',
      '4',
      '5',
      '6',
    ]);
  });

  it('stops following when the reader gives up', async () => {
    await using log = await open();
    const controller = new AbortController();
    const reading = (async () => {
      for await (const entry of log.read({ ...everything, follow: true }, controller.signal)) {
        throw new Error(`unexpected entry ${entry.stream}`);
      }
    })();
    controller.abort();
    await expect(reading).resolves.toBeUndefined();
  });
});

describe('log options', () => {
  it.each([
    [{ 'max-sise': '1k' }, "unknown log opt 'max-sise'"],
    [{ 'max-size': 'big' }, 'invalid value for max-size'],
    [{ 'max-size': '1k', 'max-file': '0' }, 'invalid value for max-file'],
    [{ 'max-file': '3' }, 'without max-size'],
    [{ labels: 'a' }, "log opt 'labels' is not supported"],
    [{ tag: '{{.ID}}' }, "log opt 'tag': templates are not supported"],
  ])('refuses %j by name', async (options, message) => {
    await expect(open(options as Record<string, string>)).rejects.toThrow(message);
  });

  it('refuses an unknown driver, and reading from the none driver, in the words of Docker', async () => {
    await expect(open({}, 'syslogg')).rejects.toThrow(
      "no log driver named 'syslogg' is registered",
    );
    await using log = await open({}, 'none');
    await expect(texts(log)).rejects.toThrow('configured logging driver does not support reading');
  });
});
