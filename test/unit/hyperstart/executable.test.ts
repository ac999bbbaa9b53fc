import { beforeEach, describe, expect, it } from 'vitest';

import { findExecutable } from '../../../hyperstart/executable.ts';
import { FakeSys } from '../../support/fake-sys.ts';

describe('looking a command up in an image', () => {
  let sys: FakeSys;
  beforeEach(() => {
    sys = new FakeSys();
    sys.files.put('/image/bin/busybox', 'ELF', 0o755);
    sys.files.putLink('/image/bin/sh', '/bin/busybox');
    sys.files.putLink('/image/sbin', 'bin');
    sys.files.put('/image/usr/bin/tool', 'ELF', 0o755);
    sys.files.put('/image/bin/tool', 'text', 0o644);
    sys.files.put('/image/app/run', 'ELF', 0o755);
    sys.files.put('/image/app/notes', 'text', 0o644);
    sys.files.putDirectory('/image/bin/folder');
    sys.files.putLink('/image/bin/outside', '/../../bin/host-tool');
    sys.files.putLink('/image/bin/loop', 'loop');
    sys.files.put('/bin/host-tool', 'ELF', 0o755);
  });

  const find = (command: string, searchPath = '/usr/bin:/bin', cwd = '/app') =>
    findExecutable(sys, { root: '/image', command, searchPath, cwd });

  it.each([
    ['busybox', '/bin/busybox'],
    ['sh', '/bin/sh'],
    ['/bin/sh', '/bin/sh'],
    ['/sbin/sh', '/sbin/sh'],
    ['./run', '/app/./run'],
    ['../bin/sh', '/app/../bin/sh'],
  ])('finds %s', (command, path) => {
    expect(find(command)).toBe(path);
  });

  it('passes over files that cannot be executed', () => {
    expect(find('tool', '/bin:/usr/bin')).toBe('/usr/bin/tool');
  });

  it('takes an empty entry of PATH for the working directory', () => {
    expect(find('run', '/bin:')).toBe('/app/./run');
    expect(find('run', '.')).toBe('/app/./run');
  });

  it.each([
    ['foo', 'COMMAND_NOT_FOUND', 'exec: "foo": executable file not found in $PATH'],
    ['', 'COMMAND_NOT_FOUND', 'exec: "": executable file not found in $PATH'],
    ['folder', 'COMMAND_NOT_FOUND', 'exec: "folder": executable file not found in $PATH'],
    ['/x', 'COMMAND_NOT_FOUND', 'exec: "/x": stat /x: no such file or directory'],
    [
      '/bin/sh/x',
      'COMMAND_NOT_FOUND',
      'exec: "/bin/sh/x": stat /bin/sh/x: no such file or directory',
    ],
    [
      '/bin/loop',
      'COMMAND_NOT_FOUND',
      'exec: "/bin/loop": stat /bin/loop: no such file or directory',
    ],
    ['/bin/folder', 'COMMAND_NOT_EXECUTABLE', 'exec: "/bin/folder": is a directory'],
    ['./notes', 'COMMAND_NOT_EXECUTABLE', 'exec: "./notes": permission denied'],
  ])('says in the words of Docker why "%s" does not run', (command, code, message) => {
    expect(() => find(command)).toThrow(expect.objectContaining({ code, message }));
  });

  it('does not leave the image by a symbolic link', () => {
    expect(() => find('/bin/outside')).toThrow('no such file or directory');
    expect(() => find('outside')).toThrow('executable file not found in $PATH');
  });

  it('closes everything that it opened', () => {
    find('tool');
    expect(sys.files.openedPaths).toEqual([]);
  });
});
