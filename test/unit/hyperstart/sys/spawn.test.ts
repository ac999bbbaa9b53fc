import { beforeEach, describe, expect, it, vi } from 'vitest';

import { AsideCalls } from '../../../../hyperstart/sys/aside.ts';
import { Files } from '../../../../hyperstart/sys/files.ts';
import { Kernel } from '../../../../hyperstart/sys/kernel.ts';
import { Spawner } from '../../../../hyperstart/sys/spawn.ts';
import type { NewNamespaces, SpawnOptions } from '../../../../hyperstart/sys/sys.ts';
import { type CallHandler, FakeNative } from '../../../support/fake-native.ts';

const ENOENT = 2;
const ESRCH = 3;
const ENOTDIR = 20;
const EEXIST = 17;
const CLONE_NEWPID = 0x20000000;
const CLONE_NEWCGROUP = 0x2000000;
const PR_SET_DUMPABLE = 4;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const lastCapability = 40;
/** The first pipe's reading end; of the pipes of `base` the third is that of the reports. */
const firstPipe = 100;
const statusFd = firstPipe + 4;

const newNamespaces: NewNamespaces = {
  kind: 'new',
  hostname: 'box',
  domainname: '',
  cgroupNamespace: true,
  root: '/run/c1/root',
  readOnlyRoot: true,
  mounts: [],
  maskedPaths: [],
  readonlyPaths: [],
  sysctls: [],
};

const base: SpawnOptions = {
  executable: '/bin/sh',
  args: ['sh', '-c', 'true'],
  env: ['A=b'],
  cwd: '/work',
  uid: 1000,
  gid: 100,
  groups: [7],
  capabilitiesLow: 0b11,
  capabilitiesHigh: 0,
  noNewPrivileges: true,
  seccompProgram: Buffer.alloc(16).toString('base64'),
  rlimits: [{ resource: 7, soft: 1024, hard: -1 }],
  oomScoreAdj: 0,
  cgroup: '/sys/fs/cgroup/c1',
  terminal: null,
  stdin: 'pipe',
  stdout: 'pipe',
  stderr: 'null',
  init: false,
  namespaces: newNamespaces,
};

let native: FakeNative;
let spawner: Spawner;

/** Reports on the status pipe, to be read by the parent; by default what the child says of its plan. */
function report(...reports: readonly { readonly place: number; readonly errno: number }[]): void {
  const queue = [...reports];
  const read: CallHandler = (fd, buffer) => {
    const next = fd === statusFd ? (queue.shift() ?? native.failed) : null;
    native.failed = null;
    if (next === null) return 0;
    const view = new DataView(buffer as ArrayBuffer);
    view.setInt32(0, next.place, true);
    view.setInt32(4, next.errno, true);
    return 8;
  };
  native.handlers.set('read', read);
}

beforeEach(() => {
  native = new FakeNative();
  const kernel = new Kernel(native);
  const files = new Files(kernel);
  vi.spyOn(files, 'readFile').mockReturnValue(`${String(lastCapability)}\n`);
  spawner = new Spawner({ kernel, files, aside: new AsideCalls(kernel) });
  let next = firstPipe;
  native.handlers.set('pipe2', (buffer) => {
    const view = new DataView(buffer as ArrayBuffer);
    view.setInt32(0, next++, true);
    view.setInt32(4, next++, true);
    return 0;
  });
  native.handlers.set('openat', () => 50);
  native.handlers.set('openat2', () => 51);
  native.handlers.set('pidfd_open', () => 60);
  native.handlers.set('ppoll', () => 1);
  report();
});

/** Names of the calls of the child's last stretch, with what tells calls of the same name apart. */
function childSteps(): readonly string[] {
  const forkAt = native.calls.findIndex(([name]) => name === 'spawn');
  const executedAt = native.calls.findIndex(([name]) => name.startsWith('execve'));
  return native.calls
    .slice(forkAt + 1, executedAt + 1)
    .map(([name, first]) => (name === 'prctl' ? `prctl ${Number(first).toString()}` : name));
}

function order(...names: readonly string[]): number[] {
  const steps = childSteps();
  return names.map((name) => steps.lastIndexOf(name));
}

const ascending = (positions: readonly number[]): number[] => [...positions].sort((a, b) => a - b);

describe('Spawner, as the parent', () => {
  it('hands out its ends of the pipes and keeps no other descriptor', () => {
    const process = spawner.spawn(base);
    expect(process).toEqual({ pid: 1234, stdin: 101, stdout: 102, stderr: null, terminal: null });
    const closed = native.argumentsOf('close').map(([fd]) => fd);
    const made = Array.from({ length: 6 }, (_, index) => firstPipe + index);
    expect(made.filter((fd) => !closed.includes(fd))).toEqual([101, 102]);
    expect(new Set(closed).size).toBe(closed.length);
  });

  it('tells the step that failed, kills the child and closes everything', () => {
    native.runsChildren = true;
    native.handlers.set('execve', () => -ENOENT);
    expect(() => spawner.spawn(base)).toThrow(
      expect.objectContaining({
        step: 'execve',
        errno: 'ENOENT',
        detail: 'No such file or directory',
      }),
    );
    expect(native.argumentsOf('kill')).toEqual([[1234, 9]]);
    const closed = native.argumentsOf('close').map(([fd]) => fd);
    const made = Array.from({ length: 6 }, (_, index) => firstPipe + index);
    expect(made.filter((fd) => !closed.includes(fd))).toEqual([]);
  });

  it('ends a start that gets stuck', () => {
    native.handlers.set('ppoll', () => 0);
    expect(() => spawner.spawn(base)).toThrow(
      expect.objectContaining({ step: 'start', errno: 'ETIMEDOUT' }),
    );
    expect(native.argumentsOf('kill')).toEqual([[1234, 9]]);
  });

  it('stands in the PID namespace that is joined only while it forks', () => {
    spawner.spawn({ ...base, namespaces: { kind: 'join', pid: 77 } });
    const relevant = native.calls.filter(([name]) =>
      ['pidfd_open', 'setns', 'spawn'].includes(name),
    );
    expect(relevant).toEqual([
      ['pidfd_open', 77, 0],
      ['setns', 60, CLONE_NEWPID],
      ['spawn', 0, 50, statusFd + 1],
      ['setns', 50, CLONE_NEWPID],
    ]);
  });

  it('leaves the PID namespace again when the fork fails', () => {
    native.spawn = () => -12;
    expect(() => spawner.spawn({ ...base, namespaces: { kind: 'join', pid: 77 } })).toThrow(
      expect.objectContaining({ step: 'join namespaces', errno: 'ENOMEM' }),
    );
    expect(native.argumentsOf('setns').at(-1)).toEqual([50, CLONE_NEWPID]);
  });

  it('tells that the process whose namespaces are wanted is gone', () => {
    native.handlers.set('pidfd_open', () => -ESRCH);
    expect(() => spawner.spawn({ ...base, namespaces: { kind: 'join', pid: 77 } })).toThrow(
      expect.objectContaining({ step: 'join namespaces', errno: 'ESRCH' }),
    );
  });
});

describe('Spawner, as the child of a new container', () => {
  beforeEach(() => {
    native.runsChildren = true;
  });

  it('executes the program with its words and environment', () => {
    spawner.spawn(base);
    const [path, words, environment] = native.argumentsOf('execve')[0] ?? [];
    expect(path).toBe('/bin/sh');
    expect(native.wordsOf(words)).toEqual(['sh', '-c', 'true']);
    expect(native.wordsOf(environment)).toEqual(['A=b']);
  });

  it('passes no word on that the kernel would cut', () => {
    expect(() => spawner.spawn({ ...base, args: ['sh', 'one\0two'] })).toThrow(
      expect.objectContaining({ step: 'execve', errno: 'EINVAL' }),
    );
    expect(native.argumentsOf('execve')).toEqual([]);
  });

  it('passes no path on that the kernel would cut, and keeps nothing open', () => {
    expect(() => spawner.spawn({ ...base, cwd: '/one\0two' })).toThrow('a text with a NUL');
    expect(native.argumentsOf('spawn')).toEqual([]);
    expect(native.argumentsOf('openat')).toEqual([]);
    const closed = native.argumentsOf('close').map(([fd]) => Number(fd));
    expect(closed.toSorted()).toEqual(Array.from({ length: 6 }, (_, index) => firstPipe + index));
  });

  it('takes the steps in the order that their privileges need', () => {
    spawner.spawn(base);
    const positions = order(
      `prctl ${String(PR_SET_DUMPABLE)}`,
      'unshare',
      'pivot_root',
      'umount2',
      'setsid',
      'prlimit64',
      `prctl ${String(PR_CAPBSET_DROP)}`,
      'setgroups',
      'setresgid',
      'setresuid',
      'capset',
      `prctl ${String(PR_SET_NO_NEW_PRIVS)}`,
      'seccomp',
      'close_range',
      'execve',
    );
    expect(positions).toEqual(ascending(positions));
    expect(positions[0]).toBeGreaterThanOrEqual(0);
  });

  it('installs the filter before the privileges go when it cannot do so after', () => {
    spawner.spawn({ ...base, noNewPrivileges: false });
    const positions = order('pivot_root', 'seccomp', 'setresuid', 'execve');
    expect(positions).toEqual(ascending(positions));
    expect(order(`prctl ${String(PR_SET_NO_NEW_PRIVS)}`)).toEqual([-1]);
  });

  it('takes its cgroup, not its parent’s, for the root of its cgroup namespace', () => {
    spawner.spawn(base);
    expect(native.argumentsOf('unshare').map(([flags]) => flags)).toEqual([CLONE_NEWCGROUP]);
    spawner.spawn({ ...base, namespaces: { ...newNamespaces, cgroupNamespace: false } });
    expect(native.argumentsOf('unshare')).toHaveLength(1);
  });

  it('keeps no capability for a user, and the given ones for root, none of them inheritable', () => {
    const setsOf = (uid: number): string => {
      spawner.spawn({ ...base, uid });
      const buffer = native.argumentsOf('capset').at(-1)?.[1] as ArrayBuffer;
      return Buffer.from(buffer).toString('hex');
    };
    expect(setsOf(1000)).toBe('00'.repeat(24));
    expect(setsOf(0)).toBe('03000000' + '03000000' + '00'.repeat(16));
  });

  it('drops every capability that is not given from the bounding set', () => {
    spawner.spawn(base);
    const dropped = native
      .argumentsOf('prctl')
      .filter(([option]) => option === PR_CAPBSET_DROP)
      .map(([, capability]) => capability);
    expect(dropped).toEqual(Array.from({ length: lastCapability - 1 }, (_, index) => index + 2));
  });

  it('runs as its own init from a fresh image when that is wanted', () => {
    spawner.spawn({ ...base, init: true });
    const [fd, path, words] = native.argumentsOf('execveat')[0] ?? [];
    expect([fd, path]).toEqual([1018, '']);
    expect(native.wordsOf(words)).toEqual([
      'hyper-init',
      expect.any(String),
      '/bin/sh',
      'sh',
      '-c',
      'true',
    ]);
    expect(native.argumentsOf('execve')).toEqual([]);
  });

  it('reports the step that fails, by its name', () => {
    native.handlers.set('chdir', (path) => (path === '/work' ? -ENOENT : 0));
    expect(() => spawner.spawn(base)).toThrow(
      expect.objectContaining({ step: 'chdir', errno: 'ENOENT' }),
    );
    expect(native.argumentsOf('execve')).toEqual([]);
  });

  it('masks files with /dev/null and directories with nothing, and skips what is not there', () => {
    const opened: string[] = [];
    native.handlers.set('openat2', (_root, path) => {
      opened.push(path as string);
      return path === '/proc/none' ? -ENOENT : 1000 + opened.length;
    });
    const masks: unknown[] = [];
    native.handlers.set('mount', (source) => {
      const inside = opened.at(-1);
      if (source !== 0) masks.push([source, inside]);
      return source === '/dev/null' && inside === '/proc/acpi' ? -ENOTDIR : 0;
    });
    const maskedPaths = ['/proc/kcore', '/proc/acpi', '/proc/none'];
    spawner.spawn({ ...base, namespaces: { ...newNamespaces, maskedPaths } });
    expect(masks).toEqual([
      ['/dev/null', '/proc/kcore'],
      ['/dev/null', '/proc/acpi'],
      ['tmpfs', '/proc/acpi'],
    ]);
    expect(native.argumentsOf('execve')).toHaveLength(1);
  });
});

describe('Spawner, as the child that mounts', () => {
  const mounted = { source: 'tmpfs', type: 'tmpfs', flags: 0, data: '' };

  beforeEach(() => {
    native.runsChildren = true;
  });

  it('makes what a mount point lacks, step by step from the root', () => {
    const there = new Set(['/', '/a']);
    native.handlers.set('openat2', (_root, path) => (there.has(path as string) ? 70 : -ENOENT));
    native.handlers.set('mkdirat', (_parent, word) => {
      if (word === 'a') return -EEXIST;
      there.add('/a/b');
      return 0;
    });
    const mounts = [{ ...mounted, target: '/a/b' }];
    spawner.spawn({ ...base, namespaces: { ...newNamespaces, mounts } });
    expect(native.argumentsOf('openat2').map(([, path]) => path)).toEqual([
      '/a/b',
      '/',
      '/a',
      '/a/b',
    ]);
    expect(native.argumentsOf('mkdirat').map((args) => args.slice(0, 3))).toEqual([
      [1017, 'a', 0o755],
      [1017, 'b', 0o755],
    ]);
    expect(native.argumentsOf('mount').map((args) => args.slice(0, 3))).toContainEqual([
      ...['tmpfs', '/proc/self/fd/1017', 'tmpfs'],
    ]);
  });

  it('makes the same calls for a container as for the one before, except what is another', () => {
    const maskedPaths = ['/proc/kcore', '/proc/acpi'];
    const callsOf = (namespaces: Partial<NewNamespaces>): readonly (readonly unknown[])[] => {
      native.calls.length = 0;
      spawner.spawn({ ...base, namespaces: { ...newNamespaces, ...namespaces } });
      const forkAt = native.calls.findIndex(([name]) => name === 'spawn');
      return native.calls.slice(forkAt + 1);
    };
    const mounts = [
      { ...mounted, target: '/a' },
      { ...mounted, target: '/b', data: 'size=1k' },
    ];
    const first = callsOf({ mounts, maskedPaths });
    const again = callsOf({ mounts, maskedPaths });
    const others = callsOf({ mounts: mounts.slice(1), maskedPaths: maskedPaths.slice(1) });

    expect(again.map(([name]) => name)).toEqual(first.map(([name]) => name));
    const pathsOf = (calls: readonly (readonly unknown[])[], name: string, at: number) =>
      calls.filter((call) => call[0] === name).map((call) => call[at]);
    expect(pathsOf(again, 'openat2', 2)).toEqual(['/a', '/b', ...maskedPaths]);
    expect(pathsOf(others, 'openat2', 2)).toEqual(['/b', '/proc/acpi']);
    expect(pathsOf(again, 'mount', 5)).toEqual(pathsOf(first, 'mount', 5));
    expect(pathsOf(others, 'mount', 5)).toContain('size=1k');
  });

  it('makes nothing where the mount point is there', () => {
    const mounts = [{ ...mounted, target: '/a' }];
    spawner.spawn({ ...base, namespaces: { ...newNamespaces, mounts } });
    expect(native.argumentsOf('mkdirat')).toEqual([]);
  });

  it('hands a terminal over before its program runs', () => {
    native.handlers.set('ioctl', () => 80);
    native.handlers.set('pidfd_getfd', () => 90);
    // Without pipes for stdio the status pipe is the first one.
    native.handlers.set('read', (fd, buffer) => {
      if (fd !== firstPipe || native.names.includes('pidfd_getfd')) return 0;
      new DataView(buffer as ArrayBuffer).setInt32(0, -3, true);
      return 8;
    });
    const terminal = { rows: 24, columns: 80 };
    const process = spawner.spawn({ ...base, terminal });
    expect(process).toEqual({ pid: 1234, stdin: null, stdout: null, stderr: null, terminal: 90 });
    expect(native.argumentsOf('pidfd_getfd')).toEqual([[60, 1019, 0]]);
  });
});

describe('Spawner, as a child that joins', () => {
  it('joins everything else than the PID namespace, untraceable, and makes no mount', () => {
    native.runsChildren = true;
    spawner.spawn({ ...base, namespaces: { kind: 'join', pid: 77 } });
    const positions = order(`prctl ${String(PR_SET_DUMPABLE)}`, 'setns', 'setresuid', 'execve');
    expect(positions).toEqual(ascending(positions));
    expect(native.argumentsOf('mount')).toEqual([]);
    const joined = native.argumentsOf('setns').map(([, flags]) => Number(flags));
    expect(joined[1]).toBe(0x20000 + 0x8000000 + 0x4000000 + CLONE_NEWCGROUP);
  });
});
