import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import { ensureMkfsErofs } from '../../setup/erofs-utils.ts';
import { cacheDirectory } from '../../setup/paths.ts';

/** The mkfs.erofs of the set-up; without a set-up the cached one, built when there is none. */
export async function testMkfsErofs(): Promise<string> {
  const given = process.env['HYPER_TEST_MKFS_EROFS'] ?? '';
  return given === ''
    ? await ensureMkfsErofs({ cacheDirectory, onProgress: () => undefined })
    : given;
}

/** What a path of an EROFS image is. */
export interface ErofsEntry {
  readonly kind: string;
  readonly sizeBytes: number;
  /** `rwxr-xr-x`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
}

/** Looks into an image without mounting it. Rejects when there is no such path. */
export async function statErofs(image: string, innerPath: string): Promise<ErofsEntry> {
  const { stdout } = await run(await tool('dump.erofs'), [`--path=${innerPath}`, image]);
  const pick = (pattern: RegExp): string => pattern.exec(stdout)?.[1] ?? '';
  return {
    kind: pick(/On-disk size: \d+\s+(.+)$/m),
    sizeBytes: Number(pick(/^Size: (\d+)/m)),
    mode: pick(/Access: 0\d+\/(\S+)/),
    uid: Number(pick(/Uid: (\d+)/)),
    gid: Number(pick(/Gid: (\d+)/)),
    links: Number(pick(/Links: (\d+)/)),
  };
}

/** Names in a directory of an image, without `.` and `..`. */
export async function listErofs(image: string, innerPath: string): Promise<readonly string[]> {
  const { stdout } = await run(await tool('dump.erofs'), ['--ls', `--path=${innerPath}`, image]);
  const [, table = ''] = stdout.split('FILENAME');
  return [...table.matchAll(/^\s+\d+\s+\d+\s\s(.*)$/gm)]
    .map((match) => match[1] ?? '')
    .filter((name) => name !== '.' && name !== '..');
}

/** Copies the files out of an image into a new directory, with their modes. */
export async function extractErofs(image: string, directory: string): Promise<void> {
  const options = [`--extract=${directory}`, '--preserve-perms', '--no-preserve-owner'];
  await run(await tool('fsck.erofs'), [...options, image]);
}

/** Rejects when the image is damaged. */
export async function checkErofs(image: string): Promise<void> {
  await run(await tool('fsck.erofs'), [image]);
}

async function tool(name: string): Promise<string> {
  const mkfs = await testMkfsErofs();
  return mkfs.includes('/') ? path.join(path.dirname(mkfs), name) : name;
}
