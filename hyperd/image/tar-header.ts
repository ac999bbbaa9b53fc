/** One 512-byte header of a tar archive (POSIX ustar, "Header Block"). Names are latin1: one character a byte. */
export interface TarHeader {
  readonly name: string;
  readonly linkName: string;
  readonly type: string;
  /** NaN when the field holds no number. */
  readonly sizeBytes: number;
}

export const blockBytes = 512;
const typeOffset = 156;
const ownMode = { file: '0000644', directory: '0000755' } as const;

/** Reads a header; null when its checksum is wrong. */
export function parseHeader(block: Buffer): TarHeader | null {
  if (parseNumber(block.subarray(148, 156)) !== checksumOf(block)) return null;
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? textOf(block.subarray(345, 500)) : '';
  const name = textOf(block.subarray(0, 100));
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: textOf(block.subarray(157, 257)),
    type: String.fromCharCode(block[typeOffset] ?? 0),
    sizeBytes: parseNumber(block.subarray(124, 136)),
  };
}

/** The same header with another type and no payload. */
export function withoutPayload(block: Buffer, type: string): Buffer {
  const header = Buffer.from(block);
  header.write('00000000000\0', 124, 'latin1');
  header[typeOffset] = type.charCodeAt(0);
  writeChecksum(header);
  return header;
}

/** Blocks of an entry of root's, without content and from 1970: an empty file, or a directory. */
export function emptyEntry(name: string, kind: 'file' | 'directory'): Buffer {
  const header = ownHeader(kind === 'file' ? '0' : '5', ownMode[kind], 0);
  if (name.length <= 100) {
    header.write(name, 0, 'latin1');
    writeChecksum(header);
    return header;
  }
  // GNU's extension for names that do not fit: an entry whose content is the name.
  const extension = ownHeader('L', ownMode.file, name.length + 1);
  extension.write('././@LongLink', 0, 'latin1');
  writeChecksum(extension);
  writeChecksum(header);
  return Buffer.concat([
    extension,
    paddedTo(blockBytes, Buffer.from(`${name}\0`, 'latin1')),
    header,
  ]);
}

/** Bytes up to the first NUL. */
export function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

export function paddedSize(sizeBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes) * blockBytes;
}

function paddedTo(unit: number, bytes: Buffer): Buffer {
  const padded = Buffer.alloc(Math.ceil(bytes.length / unit) * unit);
  bytes.copy(padded);
  return padded;
}

function ownHeader(type: string, mode: string, sizeBytes: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(`${mode}\0` + '0000000\0' + '0000000\0', 100, 'latin1');
  header.write(`${sizeBytes.toString(8).padStart(11, '0')}\0` + '00000000000\0', 124, 'latin1');
  header.write(type, typeOffset, 'latin1');
  header.write('ustar\0' + '00', 257, 'latin1');
  return header;
}

function writeChecksum(header: Buffer): void {
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

/** Octal digits, or GNU's base-256 for what they cannot hold. */
function parseNumber(field: Buffer): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) === 0) {
    const digits = textOf(field).trim();
    return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  }
  return field.subarray(1).reduce((value, byte) => value * 256 + byte, first & 0x7f);
}

function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let index = 0; index < blockBytes; index++) {
    if (index < 148 || index >= 156) sum += header[index] ?? 0;
  }
  return sum;
}
