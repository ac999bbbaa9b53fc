import { isErrno } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

/** Makes a directory unless something is there already. */
export function ensureDirectory(sys: Sys, path: string, mode = 0o755): void {
  try {
    sys.makeDirectory(path, mode);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}

/** Entry names, none when the directory does not exist. */
export function entriesOf(sys: Sys, path: string): readonly string[] {
  try {
    return sys.readDirectory(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENODEV')) return [];
    throw error;
  }
}

/** Text of a kernel file without surrounding white space; null when it does not exist. */
export function kernelFile(sys: Sys, path: string): string | null {
  try {
    return sys.readFile(path).trim();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENODEV', 'ESRCH', 'EOPNOTSUPP', 'EIO')) return null;
    throw error;
  }
}

/** A line of /proc/meminfo in KiB; 0 when it is not there. */
export function kibOf(meminfo: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? '0');
}
