import { describe, expect, it } from 'vitest';

import {
  guestMemoryFiles,
  isOwnFile,
  parseSmaps,
  readField,
  splitVmMemory,
} from '../../../bench/measure/smaps.ts';

const mapping = (head: string, size: number, pss: number, own: number): string =>
  [
    head,
    `Size:           ${String(size)} kB`,
    `Pss:            ${String(pss)} kB`,
    `Private_Clean:  ${String(own / 2)} kB`,
    `Private_Dirty:  ${String(own / 2)} kB`,
    'VmFlags: rd wr mr mw me ac sd',
    '',
  ].join('\n');

const smaps =
  mapping(
    '55d0c0000000-55d0c1000000 r-xp 00001000 fe:00 1234    /usr/bin/qemu-system',
    8000,
    900,
    0,
  ) +
  mapping('55d0c2000000-55d0c2100000 rw-p 00000000 00:00 0       [heap]', 4000, 3000, 3000) +
  mapping('7f0000000000-7f0004000000 rwxp 00000000 00:00 0 ', 65536, 30000, 30000) +
  mapping(
    '7f1000000000-7f1040000000 rw-p 00000000 00:01 77 /memfd:guest (deleted)',
    900000,
    9000,
    8000,
  ) +
  mapping(
    '7f1040000000-7f1080000000 rw-p 40000000 00:01 77 /memfd:guest (deleted)',
    148576,
    1000,
    1000,
  );

describe('smaps', () => {
  it('are read mapping by mapping, with names that have blanks', () => {
    const mappings = parseSmaps(smaps);
    expect(mappings.map(({ path }) => path)).toEqual([
      '/usr/bin/qemu-system',
      '[heap]',
      '',
      ...['/memfd:guest (deleted)', '/memfd:guest (deleted)'],
    ]);
    expect(mappings[1]).toEqual({
      range: '55d0c2000000-55d0c2100000',
      permissions: 'rw-p',
      path: '[heap]',
      sizeKiB: 4000,
      pssKiB: 3000,
      privateKiB: 3000,
    });
  });

  it('are nothing for a process that has ended', () => {
    expect(parseSmaps('')).toEqual([]);
  });
});

describe('splitVmMemory', () => {
  it('tells guest memory, code cache and hypervisor apart', () => {
    expect(splitVmMemory(parseSmaps(smaps), ['/memfd:guest'], 1024)).toEqual({
      pss: (43900 * 1024) / 1e6,
      guest: (9000 * 1024) / 1e6,
      codeCache: (30000 * 1024) / 1e6,
      hypervisor: (3000 * 1024) / 1e6,
    });
  });

  it('takes one anonymous mapping for the guest, not all that have no name', () => {
    const anonymous =
      mapping('7f0000000000-7f0004000000 rw-p 00000000 00:00 0', 500000, 100, 100) +
      mapping('7f1000000000-7f1040000000 rw-p 00000000 00:00 0', 100, 50, 50);
    expect(splitVmMemory(parseSmaps(anonymous), [], 488)).toMatchObject({
      guest: 0.1024,
      hypervisor: 0.0512,
    });
  });

  it('refuses a process without guest memory', () => {
    expect(() => splitVmMemory(parseSmaps(smaps), [], 4096)).toThrow('guest memory of 4096 MiB');
    expect(() => splitVmMemory(parseSmaps(smaps), ['/other'], 1024)).toThrow('guest memory');
    expect(() => splitVmMemory([], [], 1)).toThrow('guest memory');
  });
});

describe('files of guest memory', () => {
  it('are named by the command line, where a comma is doubled', () => {
    const words = [
      ...['qemu', '-object', 'memory-backend-file,id=a,size=1M,mem-path=/t/mem,share=off'],
      ...['-object', 'memory-backend-file,mem-path=/t/a,,b', '-S'],
    ];
    expect(guestMemoryFiles(words.join('\0'))).toEqual(['/t/mem', '/t/a,b']);
    expect(guestMemoryFiles(['qemu', '-m', '128M'].join('\0'))).toEqual([]);
  });

  it('are a VM’s own when they are shared memory and have lost their name', () => {
    const own = (head: string): readonly boolean[] =>
      parseSmaps(mapping(`7f0000000000-7f0004000000 ${head}`, 1, 1, 0)).map(isOwnFile);
    expect(own('rw-s 00000000 00:1f 5 /run/private/4f (deleted)')).toEqual([true]);
    expect(own('rw-p 00000000 00:1f 5 /run/template/memory (deleted)')).toEqual([false]);
    expect(own('rw-s 00000000 00:1f 5 /run/template/memory')).toEqual([false]);
  });
});

describe('readField', () => {
  it('reads a field by its whole name', () => {
    expect(readField('VmRSS:\t  12 kB\nPss_Anon:   7 kB\nPss:   9 kB\n', 'Pss')).toBe(9);
    expect(readField('VmRSS:\t  12 kB\n', 'VmRSS')).toBe(12);
    expect(readField('', 'Pss')).toBeNaN();
  });
});
