/**
 * Rewrites a 64-bit little-endian ELF executable without the padding that a linker leaves for page
 * alignment: a loader fills with zeros what a segment has in memory only, so long runs need not be in
 * the file. Section headers go; program headers (with the PVH entry note) stay.
 */
export function packElf(input: Uint8Array): Uint8Array {
  const elf = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  if (elf.readUInt32BE(0) !== elfMagic || elf[4] !== elfClass64 || elf[5] !== littleEndian) {
    throw new Error('not a 64-bit little-endian ELF file');
  }
  const segments = readSegments(elf).flatMap((segment) => splitAtPadding(elf, segment));
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
const paddingBytes = [0x00, 0xcc];
/** Shorter runs are not worth a program header. */
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

/**
 * Pieces of a loadable segment around its long runs of padding. A run of zeros is covered by the memory
 * size of the piece before it, so that the loader fills it; between code sections the linker pads with
 * breakpoints (0xcc), which nothing ever reaches and nobody needs to load.
 */
function splitAtPadding(elf: Buffer, segment: Segment): readonly Segment[] {
  if (segment.type !== loadable) return [segment];
  const bytes = elf.subarray(segment.offset, segment.offset + segment.fileSize);
  const holes = findHoles(bytes);
  const starts = [0, ...holes.map(({ end }) => end)];
  return starts.flatMap((start, index) => {
    const hole = holes[index];
    const fileEnd = hole?.start ?? bytes.length;
    const zerosEnd = hole?.byte === 0 ? hole.end : fileEnd;
    const memoryEnd = index === starts.length - 1 ? segment.memorySize : zerosEnd;
    if (memoryEnd === start) return [];
    return {
      ...segment,
      offset: segment.offset + start,
      virtualAddress: segment.virtualAddress + BigInt(start),
      physicalAddress: segment.physicalAddress + BigInt(start),
      fileSize: fileEnd - start,
      memorySize: memoryEnd - start,
    };
  });
}

interface Hole {
  readonly start: number;
  readonly end: number;
  /** The one byte that it repeats. */
  readonly byte: number;
}

/** Runs of at least minHoleBytes of one padding byte, in order. */
function findHoles(bytes: Buffer): readonly Hole[] {
  const holes: Hole[] = [];
  const needles = paddingBytes.map((byte) => Buffer.alloc(minHoleBytes, byte));
  for (let position = 0; ;) {
    const found = needles.map((needle) => bytes.indexOf(needle, position)).filter((at) => at >= 0);
    if (found.length === 0) return holes;
    const start = Math.min(...found);
    const byte = bytes[start] ?? 0;
    let end = start + minHoleBytes;
    while (end < bytes.length && bytes[end] === byte) end += 1;
    holes.push({ start, end, byte });
    position = end;
  }
}
