/**
 * Rewrites a 64-bit little-endian ELF executable without the zeros that a linker leaves for page
 * alignment: a boot loader zero-fills memory, so long runs of them need not be in the file. Section
 * headers go; program headers (with the PVH entry note) stay. Kernel images shrink by a third.
 */
export function packElf(input: Uint8Array): Uint8Array {
  const elf = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  if (elf.readUInt32BE(0) !== elfMagic || elf[4] !== elfClass64 || elf[5] !== littleEndian) {
    throw new Error('not a 64-bit little-endian ELF file');
  }
  const segments = readSegments(elf).flatMap((segment) => splitAtZeros(elf, segment));
  const header = Buffer.from(elf.subarray(0, headerBytes));
  header.writeBigUInt64LE(BigInt(headerBytes), 32);
  header.writeBigUInt64LE(0n, 40);
  header.writeUInt16LE(segments.length, 56);
  header.writeUInt16LE(0, 60);
  header.writeUInt16LE(0, 62);
  let offset = headerBytes + segments.length * segmentBytes;
  const parts: Buffer[] = [];
  const table = segments.map((segment) => {
    const bytes = elf.subarray(segment.offset, segment.offset + segment.fileSize);
    const entry = writeSegment({ ...segment, offset });
    parts.push(bytes);
    offset += bytes.length;
    return entry;
  });
  return Buffer.concat([header, ...table, ...parts]);
}

const elfMagic = 0x7f454c46;
const elfClass64 = 2;
const littleEndian = 1;
const headerBytes = 64;
const segmentBytes = 56;
const loadable = 1;
const noteAlignment = 4n;
/** Shorter runs of zeros are not worth a program header. */
const minHoleBytes = 64 * 1024;

/** A program header (ELF-64 object file format, "Program header table"). */
interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly fileSize: number;
  readonly memorySize: number;
}

function readSegments(elf: Buffer): readonly Segment[] {
  const table = Number(elf.readBigUInt64LE(32));
  return Array.from({ length: elf.readUInt16LE(56) }, (_, index) => {
    const at = table + index * segmentBytes;
    return {
      type: elf.readUInt32LE(at),
      flags: elf.readUInt32LE(at + 4),
      offset: Number(elf.readBigUInt64LE(at + 8)),
      virtualAddress: elf.readBigUInt64LE(at + 16),
      physicalAddress: elf.readBigUInt64LE(at + 24),
      fileSize: Number(elf.readBigUInt64LE(at + 32)),
      memorySize: Number(elf.readBigUInt64LE(at + 40)),
    };
  });
}

function writeSegment(segment: Segment): Buffer {
  const entry = Buffer.alloc(segmentBytes);
  entry.writeUInt32LE(segment.type, 0);
  entry.writeUInt32LE(segment.flags, 4);
  entry.writeBigUInt64LE(BigInt(segment.offset), 8);
  entry.writeBigUInt64LE(segment.virtualAddress, 16);
  entry.writeBigUInt64LE(segment.physicalAddress, 24);
  entry.writeBigUInt64LE(BigInt(segment.fileSize), 32);
  entry.writeBigUInt64LE(BigInt(segment.memorySize), 40);
  // Loadable pieces may lie anywhere in the file; notes are parsed by their alignment.
  entry.writeBigUInt64LE(segment.type === loadable ? 1n : noteAlignment, 48);
  return entry;
}

/** Pieces of a loadable segment around its long runs of zeros, which the last piece's memory size covers. */
function splitAtZeros(elf: Buffer, segment: Segment): readonly Segment[] {
  if (segment.type !== loadable) return [segment];
  const bytes = elf.subarray(segment.offset, segment.offset + segment.fileSize);
  const pieces: { start: number; end: number }[] = [];
  for (let position = 0; position < bytes.length; ) {
    const start = skipZeros(bytes, position);
    if (start >= bytes.length) break;
    const end = findHole(bytes, start);
    pieces.push({ start, end });
    position = end;
  }
  return pieces.map(({ start, end }, index) => ({
    ...segment,
    offset: segment.offset + start,
    virtualAddress: segment.virtualAddress + BigInt(start),
    physicalAddress: segment.physicalAddress + BigInt(start),
    fileSize: end - start,
    memorySize: (index === pieces.length - 1 ? segment.memorySize : end) - start,
  }));
}

function skipZeros(bytes: Buffer, from: number): number {
  let position = from;
  while (position < bytes.length && bytes[position] === 0) position += 1;
  return position;
}

/** Where the next run of at least minHoleBytes zeros starts, or the end. */
function findHole(bytes: Buffer, from: number): number {
  const zeros = Buffer.alloc(minHoleBytes);
  const hole = bytes.indexOf(zeros, from);
  if (hole >= 0) return hole;
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}
