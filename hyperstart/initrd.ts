/**
 * Writes the "newc" cpio format (kernel, Documentation/driver-api/early-userspace/buffer-format.rst),
 * the same bytes for the same entries: all belongs to root, time stamps are zero.
 */
export interface InitrdEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** With the file type bits, such as 0o100755. */
  readonly mode: number;
  readonly content?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [number, number];
}

const trailer = 'TRAILER!!!';
const alignment = 4;

/** The archive, uncompressed. */
export function buildInitrd(entries: readonly InitrdEntry[]): Buffer {
  const parts = entries.map((entry, index) => encode(entry, index + 1));
  return Buffer.concat([...parts, encode({ path: trailer, mode: 0 }, 0)]);
}

function encode(entry: InitrdEntry, inode: number): Buffer {
  const name = Buffer.from(`${entry.path}\0`, 'utf8');
  const content = entry.content ?? Buffer.alloc(0);
  const [major, minor] = entry.device ?? [0, 0];
  const isDirectory = (entry.mode & 0o170000) === 0o040000;
  // inode, mode, uid, gid, nlink, mtime, size, device of the file, device node, name length, checksum
  const fields = [
    ...[inode, entry.mode, 0, 0, isDirectory ? 2 : 1, 0, content.length],
    ...[0, 0, major, minor, name.length, 0],
  ];
  const header = `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('')}`;
  return Buffer.concat([
    padded(Buffer.concat([Buffer.from(header, 'latin1'), name])),
    padded(content),
  ]);
}

function padded(bytes: Uint8Array): Buffer {
  const surplus = bytes.length % alignment;
  return Buffer.concat([bytes, Buffer.alloc(surplus === 0 ? 0 : alignment - surplus)]);
}
