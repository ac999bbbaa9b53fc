import { RequestError } from './request-error.ts';

/** Flag bits of mount(2). */
export const MountFlag = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  synchronous: 16,
  noAtime: 1024,
  noDirAtime: 2048,
  bind: 4096,
  recursive: 16384,
  relAtime: 1 << 21,
  strictAtime: 1 << 24,
} as const;

/** Bits that an option word sets and clears. */
const flagWords: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  defaults: [0, 0],
  ro: [MountFlag.readOnly, 0],
  rw: [0, MountFlag.readOnly],
  nosuid: [MountFlag.noSuid, 0],
  suid: [0, MountFlag.noSuid],
  nodev: [MountFlag.noDev, 0],
  dev: [0, MountFlag.noDev],
  noexec: [MountFlag.noExec, 0],
  exec: [0, MountFlag.noExec],
  sync: [MountFlag.synchronous, 0],
  async: [0, MountFlag.synchronous],
  noatime: [MountFlag.noAtime, 0],
  atime: [0, MountFlag.noAtime],
  nodiratime: [MountFlag.noDirAtime, 0],
  diratime: [0, MountFlag.noDirAtime],
  relatime: [MountFlag.relAtime, 0],
  norelatime: [0, MountFlag.relAtime],
  strictatime: [MountFlag.strictAtime, 0],
  nostrictatime: [0, MountFlag.strictAtime],
  /** A container's mounts are private in its own namespace whatever is asked. */
  private: [0, 0],
  rprivate: [0, 0],
};

/** `name=value` words that tmpfs itself understands. */
const tmpfsData = /^(size|nr_blocks|nr_inodes|mode|uid|gid|huge|mpol)=[^,]+$/;

/** Turns the option words of a tmpfs mount into flags and data; starts from Docker's defaults. */
export function parseTmpfsOptions(words: readonly string[]): { flags: number; data: string } {
  let flags = MountFlag.noExec | MountFlag.noSuid | MountFlag.noDev;
  const data: string[] = [];
  for (const word of words) {
    const change = Object.hasOwn(flagWords, word) ? flagWords[word] : undefined;
    if (change !== undefined) {
      flags = (flags | change[0]) & ~change[1];
    } else if (tmpfsData.test(word)) {
      data.push(word);
    } else {
      throw new RequestError('INVALID_ARGUMENT', `invalid tmpfs option ${JSON.stringify(word)}`);
    }
  }
  return { flags, data: data.join(',') };
}
