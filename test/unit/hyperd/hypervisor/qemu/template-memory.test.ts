import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  memoryArguments,
  privateFile,
  splitMemory,
} from '../../../../../hyperd/hypervisor/qemu/template-memory.ts';

const files = { templateDirectory: '/run/a,b/t', privateDirectory: '/run/a,b/p' };
const id = 'c'.repeat(64);

function argumentsOf(options: { readonly vcpus: number; readonly isTemplate: boolean }): string {
  const split = { sharedMiB: 100, privateMiB: 156 };
  return memoryArguments(split, { ...files, id, ...options }).join(' ');
}

describe('splitMemory', () => {
  it('cuts any memory that is large enough in two parts, and loses nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 128, max: 1024 * 1024 }), (memoryMiB) => {
        const split = splitMemory({ memoryMiB, vcpus: 1, hasNic: false });
        expect(split).not.toBeNull();
        const { sharedMiB, privateMiB } = split!;
        expect(sharedMiB + privateMiB).toBe(memoryMiB);
        expect(privateMiB).toBeGreaterThanOrEqual(16);
      }),
    );
  });

  it('leaves room in the shared part for the page descriptors of all memory', () => {
    const small = splitMemory({ memoryMiB: 256, vcpus: 1, hasNic: false });
    const large = splitMemory({ memoryMiB: 256 + 6400, vcpus: 1, hasNic: false });
    expect(large!.sharedMiB - small!.sharedMiB).toBe(100);
  });

  it('does not cut what is too small to share any', () => {
    expect(splitMemory({ memoryMiB: 69, vcpus: 1, hasNic: false })).toBeNull();
    expect(splitMemory({ memoryMiB: 70, vcpus: 1, hasNic: false })).not.toBeNull();
  });
});

describe('memoryArguments', () => {
  it('give a VM all its memory, in two nodes', () => {
    const text = argumentsOf({ vcpus: 4, isTemplate: false });
    expect(text).toMatch(/^-m 256M /);
    expect(text).toContain('memory-backend-file,id=shared,size=100M,');
    expect(text).toContain('memory-backend-file,id=private,size=156M,');
    expect(text).toContain('-numa node,nodeid=1,memdev=private');
  });

  it.each([
    [1, 'cpus=0'],
    [4, 'cpus=0-3'],
  ])('put all of %i processors into the node of the shared part', (vcpus, expected) => {
    const node = `-numa node,nodeid=0,memdev=shared,${expected} `;
    expect(argumentsOf({ vcpus, isTemplate: true })).toContain(node);
  });

  it('let a template write the shared part, and keep a clone from it', () => {
    const shared = 'id=shared,size=100M,mem-path=/run/a,,b/t/memory,share=';
    expect(argumentsOf({ vcpus: 1, isTemplate: true })).toContain(`${shared}on `);
    expect(argumentsOf({ vcpus: 1, isTemplate: false })).toContain(`${shared}off `);
  });

  it('double the commas of paths', () => {
    const own = `mem-path=/run/a,,b/p/${id.slice(0, 20)},share=on`;
    expect(argumentsOf({ vcpus: 1, isTemplate: false })).toContain(own);
    expect(privateFile(files, id)).toBe(`/run/a,b/p/${id.slice(0, 20)}`);
  });
});
