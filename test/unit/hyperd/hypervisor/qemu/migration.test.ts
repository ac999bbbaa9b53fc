import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { HyperError } from '../../../../../hyperd/base/error.ts';
import {
  loadState,
  type MigrationParts,
  saveState,
} from '../../../../../hyperd/hypervisor/qemu/migration.ts';
import { VmEvents } from '../../../../../hyperd/hypervisor/qemu/vm-events.ts';

let directory: string;
let events: VmEvents;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-state-'));
  events = new VmEvents();
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

function tell(status: string): void {
  events.receive({ event: 'MIGRATION', data: { status } });
}

/** A monitor that does as `migrate` says, and tells a reason when it is asked. */
function monitor(migrate: (uri: string) => Promise<void>): MigrationParts & { log: string[] } {
  const log: string[] = [];
  const execute = async (command: string, args: object = {}): Promise<unknown> => {
    log.push(`${command} ${JSON.stringify(args)}`);
    if (command === 'query-migrate') return { 'error-desc': 'no room' };
    if ('uri' in args) await migrate(String(args.uri));
    return {};
  };
  return { qmp: { execute }, events, log };
}

async function send(uri: string, text: string): Promise<void> {
  const socket = connect(uri.replace(/^unix:/, ''));
  socket.end(text);
  await once(socket, 'close');
}

describe('saveState', () => {
  it('writes what QEMU sends to a file that is its owner’s alone', async () => {
    const parts = monitor(async (uri) => {
      tell('setup');
      await send(uri, 'state of the machine');
      tell('completed');
    });
    const file = path.join(directory, 'state');

    await saveState(parts, { file, directory });

    expect(await readFile(file, 'utf8')).toBe('state of the machine');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['state']);
    expect(parts.log[0]).toContain('{"capability":"x-ignore-shared","state":true}');
  });

  it('that QEMU gives up tells why, and leaves no socket', async () => {
    const parts = monitor(() => {
      tell('failed');
      return Promise.resolve();
    });

    await expect(
      saveState(parts, { file: path.join(directory, 'state'), directory }),
    ).rejects.toThrow('QEMU: migrate: the state could not be moved: no room');

    expect(await readdir(directory)).toEqual([]);
  });

  it('ends with the VM', async () => {
    const parts = monitor(() => {
      events.close(new HyperError('UNAVAILABLE', 'the VM has ended'));
      return Promise.resolve();
    });

    const saved = saveState(parts, { file: path.join(directory, 'state'), directory });

    await expect(saved).rejects.toThrow('the VM has ended');
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('loadState', () => {
  it('reads the file that QEMU was started with, and ends when the state is there', async () => {
    const parts = monitor((uri) => {
      expect(uri).toBe('fd:3');
      setImmediate(tell, 'completed');
      return Promise.resolve();
    });
    await loadState(parts);
    expect(parts.log.at(-1)).toBe('migrate-incoming {"uri":"fd:3"}');
  });
});
