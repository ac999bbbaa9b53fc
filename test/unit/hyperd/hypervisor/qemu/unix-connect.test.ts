import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connectUnix } from '../../../../../hyperd/hypervisor/qemu/unix-connect.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hyper-unix-'));
  file = path.join(directory, 'a.sock');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('connectUnix', () => {
  it('waits for a socket that is made later', async () => {
    const connecting = connectUnix(file, AbortSignal.timeout(5000));
    await writeFile(path.join(directory, 'another'), '');
    const server = createServer().listen(file);
    const [peer] = (await once(server, 'connection')) as [{ destroy: () => void }];
    (await connecting).destroy();
    peer.destroy();
    server.close();
  });

  it('gives up with the reason of the abort', async () => {
    const controller = new AbortController();
    const connecting = connectUnix(file, controller.signal);
    controller.abort(new Error('the VM has ended'));
    await expect(connecting).rejects.toThrow('the VM has ended');
  });

  it('refuses what is no socket', async () => {
    await writeFile(file, '');
    const connecting = connectUnix(path.join(file, 'below'), AbortSignal.timeout(5000));
    await expect(connecting).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
