import { expect, it } from 'vitest';

import { Kernel } from '../../../../hyperstart/sys/kernel.ts';
import { mapSharedMemory } from '../../../../hyperstart/sys/shared-memory.ts';
import { FakeNative } from '../../../support/fake-native.ts';

it('enables the device, maps its memory and keeps no descriptor', () => {
  const native = new FakeNative();
  let lastFd = 2;
  native.handlers.set('openat', () => (lastFd += 1));
  native.handlers.set('mmap', () => 0x7000_0000);

  expect(mapSharedMemory(new Kernel(native))).toBe(0x7000_0000);

  const [command] = native.argumentsOf('pwrite64');
  expect([command?.[0], command?.[3]]).toEqual([3, 4]);
  expect(new Uint8Array(command?.[1] as ArrayBuffer)).toEqual(Uint8Array.of(2, 0));
  expect(native.argumentsOf('mmap')).toEqual([[null, 4 * 1024 * 1024, 3, 1, 4, 0]]);
  expect(native.argumentsOf('close')).toEqual([[3], [4]]);
});

it('keeps no descriptor when the memory cannot be mapped', () => {
  const native = new FakeNative();
  native.handlers.set('openat', () => 7);
  native.handlers.set('mmap', () => -19);
  expect(() => mapSharedMemory(new Kernel(native))).toThrow('map the shared memory');
  expect(native.argumentsOf('close')).toEqual([[7], [7]]);
});
