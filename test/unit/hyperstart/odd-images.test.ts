import { beforeEach, describe, expect, it } from 'vitest';

import { imagePath } from '../../support/fake-sys.ts';
import {
  containerConfig,
  GuestBench,
  podConfig,
  processConfig,
} from '../../support/guest-bench.ts';
import type { ContainerConfig } from '../../../hyperstart/protocol/message.ts';

let guest: GuestBench;
beforeEach(() => {
  guest = new GuestBench();
  guest.connect();
});

const start = (changes: Partial<ContainerConfig> = {}) =>
  guest.request('start', { pod: podConfig(), container: containerConfig(changes) });

describe('an image that is odd or hostile', () => {
  it('may lack its account files', async () => {
    guest.sys.files.removeTree(`${imagePath}/etc`);
    expect(await start()).toMatchObject({ pid: 40 });
    expect(guest.sys.spawned[0]).toMatchObject({ uid: 0, gid: 0, groups: [0] });
  });

  it('cannot lend the accounts of the VM by a symbolic link', async () => {
    guest.sys.files.put('/etc/passwd', 'evil:x:0:0::/:/bin/sh\n');
    guest.sys.files.removeFile(`${imagePath}/etc/passwd`);
    guest.sys.files.putLink(`${imagePath}/etc/passwd`, '../../../../../../etc/passwd');
    expect(await start({ process: processConfig({ user: 'evil' }) })).toMatchObject({
      message: 'unable to find user evil: no matching entries in passwd file',
    });
  });

  it('may have its account files behind links within itself', async () => {
    guest.sys.files.put(`${imagePath}/data/passwd`, 'app:x:9:9::/app:\n');
    guest.sys.files.removeFile(`${imagePath}/etc/passwd`);
    guest.sys.files.putLink(`${imagePath}/etc/passwd`, '/data/passwd');
    await start({ process: processConfig({ user: 'app' }) });
    expect(guest.sys.spawned[0]).toMatchObject({ uid: 9, env: ['PATH=/bin', 'HOME=/app'] });
  });

  it('cannot stop PID 1 by an account file that is a pipe or a device', async () => {
    guest.sys.files.removeFile(`${imagePath}/etc/passwd`);
    guest.sys.files.putNode(`${imagePath}/etc/passwd`, 0o010644, 0, 0);
    expect(await start()).toEqual({
      code: 'INVALID_ARGUMENT',
      message: '/etc/passwd of the image is not a regular file',
    });
  });

  it('may have a directory for an account file', async () => {
    guest.sys.files.removeFile(`${imagePath}/etc/group`);
    guest.sys.files.putDirectory(`${imagePath}/etc/group`);
    expect(await start()).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each(['/app', '/app/x'])(
    'may have a file where the working directory %s is to be',
    async (cwd) => {
      guest.sys.files.put(`${imagePath}/app`, 'text');
      expect(await start({ process: processConfig({ cwd }) })).toEqual({
        code: 'INVALID_ARGUMENT',
        message: `Cannot mkdir: ${cwd} is not a directory`,
      });
    },
  );

  it('cannot have its working directory made outside', async () => {
    guest.sys.files.putLink(`${imagePath}/srv`, '/../../../run');
    await start({ process: processConfig({ cwd: '/srv/app' }) });
    expect(guest.sys.files.exists('/run/app')).toBe(false);
    expect(guest.sys.files.exists('/run/containers/c1/rootfs/run/app')).toBe(true);
  });

  it('may have a file where a tmpfs is to be', async () => {
    guest.sys.files.put(`${imagePath}/cache`, 'text');
    const mounts = [{ type: 'tmpfs', target: '/cache', options: [] }] as const;
    expect(await start({ mounts })).toEqual({
      code: 'INVALID_ARGUMENT',
      message: 'mounting a tmpfs at /cache: not a directory',
    });
  });

  it.each(['/', '/proc', '/sys/fs', '/a/../proc/x', '//proc'])(
    'gets no tmpfs at %s',
    async (target) => {
      const mounts = [{ type: 'tmpfs', target, options: [] }] as const;
      expect(await start({ mounts })).toMatchObject({ code: 'UNSUPPORTED' });
    },
  );

  it.each([
    ['an unknown capability', { capabilities: ['CAP_FLY'] }, 'unknown capability "CAP_FLY"'],
    ['an unknown ulimit', { rlimits: [{ type: 'x', soft: 1, hard: 1 }] }, 'unknown ulimit "x"'],
    ['a relative working directory', { cwd: 'tmp' }, 'working directory "tmp" is not absolute'],
    ['no command', { args: [] }, ''],
  ])('is not run with %s', async (_name, changes, message) => {
    const answer = await start({ process: processConfig(changes) });
    expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((answer as { message: string }).message).toContain(message);
  });
});
