import { describe, expect, it } from 'vitest';

import { packElf } from '../../../kernel-config/pack-elf.ts';

const loadable = 1;
const note = 4;
const headerBytes = 64;
const segmentBytes = 56;

interface Segment {
  readonly type: number;
  readonly address: number;
  readonly bytes: Buffer;
  readonly memorySize: number;
}

/** An executable as a linker lays it out: each segment at a file offset of its own, aligned. */
function linkElf(segments: readonly Segment[]): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(0x7f454c46, 0);
  header.set([2, 1, 1], 4);
  header.writeBigUInt64LE(0x1000123n, 24);
  header.writeBigUInt64LE(BigInt(headerBytes), 32);
  header.writeUInt16LE(segments.length, 56);
  const table = Buffer.alloc(segments.length * segmentBytes);
  const parts: Buffer[] = [header, table];
  let offset = headerBytes + table.length;
  for (const [index, { type, address, bytes, memorySize }] of segments.entries()) {
    const at = index * segmentBytes;
    table.writeUInt32LE(type, at);
    table.writeBigUInt64LE(BigInt(offset), at + 8);
    table.writeBigUInt64LE(0xffffffff80000000n + BigInt(address), at + 16);
    table.writeBigUInt64LE(BigInt(address), at + 24);
    table.writeBigUInt64LE(BigInt(bytes.length), at + 32);
    table.writeBigUInt64LE(BigInt(memorySize), at + 40);
    parts.push(bytes);
    offset += bytes.length;
  }
  return Buffer.concat(parts);
}

function readElf(elf: Buffer): readonly Segment[] {
  const count = elf.readUInt16LE(56);
  const table = Number(elf.readBigUInt64LE(32));
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * segmentBytes;
    const offset = Number(elf.readBigUInt64LE(at + 8));
    return {
      type: elf.readUInt32LE(at),
      address: Number(elf.readBigUInt64LE(at + 24)),
      bytes: elf.subarray(offset, offset + Number(elf.readBigUInt64LE(at + 32))),
      memorySize: Number(elf.readBigUInt64LE(at + 40)),
    };
  });
}

/** What a loader leaves in memory that held `stale` bytes before. */
function load(elf: Uint8Array, stale: number): Buffer {
  const memory = Buffer.alloc(512 * 1024, stale);
  for (const { type, address, bytes, memorySize } of readElf(Buffer.from(elf))) {
    if (type !== loadable) continue;
    memory.fill(0, address, address + memorySize);
    bytes.copy(memory, address);
  }
  return memory;
}

const code = Buffer.from('code that runs');
const zeros = Buffer.alloc(100 * 1024);
const breakpoints = Buffer.alloc(100 * 1024, 0xcc);
const data: Segment = {
  type: loadable,
  address: 4096,
  bytes: Buffer.concat([Buffer.from('first'), zeros, Buffer.from('last')]),
  memorySize: 200 * 1024,
};
const text: Segment = {
  type: loadable,
  address: 300 * 1024,
  bytes: Buffer.concat([code, breakpoints, Buffer.from('rodata')]),
  memorySize: code.length + breakpoints.length + 6,
};
const pvhNote: Segment = { type: note, address: 4096, bytes: Buffer.from('Xen'), memorySize: 3 };

describe('packElf', () => {
  it('leaves in memory what the unpacked file leaves there, stale memory zeroed too', () => {
    const elf = linkElf([data, pvhNote]);
    expect(load(packElf(elf), 0xaa).equals(load(elf, 0xaa))).toBe(true);
  });

  it('drops long runs of zeros and of breakpoints from the file', () => {
    const packed = packElf(linkElf([data, text, pvhNote]));
    expect(packed.length).toBeLessThan(1024);
  });

  it('loads the code on both sides of a run of breakpoints to its place', () => {
    const memory = load(packElf(linkElf([text])), 0);
    expect(memory.toString('latin1', text.address, text.address + code.length)).toBe(
      'code that runs',
    );
    const end = text.address + text.memorySize;
    expect(memory.toString('latin1', end - 6, end)).toBe('rodata');
  });

  it('keeps entry point and notes, and has no section headers', () => {
    const packed = Buffer.from(packElf(linkElf([data, pvhNote])));
    expect(packed.readBigUInt64LE(24)).toBe(0x1000123n);
    expect(packed.readBigUInt64LE(40)).toBe(0n);
    const notes = readElf(packed).filter(({ type }) => type === note);
    expect(notes.map(({ bytes }) => bytes.toString())).toEqual(['Xen']);
  });

  it('keeps short runs, which are not worth a program header', () => {
    const bytes = Buffer.concat([Buffer.from('a'), Buffer.alloc(1000), Buffer.from('b')]);
    const packed = packElf(linkElf([{ ...data, bytes }]));
    expect(readElf(Buffer.from(packed))).toHaveLength(1);
  });

  it('refuses what is not a 64-bit little-endian ELF file', () => {
    expect(() => packElf(Buffer.alloc(64))).toThrow('not a 64-bit little-endian ELF file');
  });
});
