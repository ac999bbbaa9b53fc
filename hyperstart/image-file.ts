import { isDirectory, isRegularFile } from './file-mode.ts';
import { isErrno, RequestError } from './request-error.ts';
import type { FileStatus, OpenedPath, Sys } from './sys/sys.ts';

const maxTextBytes = 4 * 1024 * 1024;

/** Errors that mean that a path of an image leads to no directory. */
const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'] as const;

/** Status of a path within a root, symbolic links followed inside it; null when nothing is there. */
export function statusInRoot(sys: Sys, root: string, path: string): FileStatus | null {
  return withOpened(sys, root, path, (opened) => sys.targetStatus(opened.path));
}

/**
 * Text of a file of the image, null when there is none. Anything but a regular file is refused: the
 * image is not trusted, and reading a pipe or a device would block PID 1.
 */
export function readTextInRoot(sys: Sys, root: string, path: string): string | null {
  return withOpened(sys, root, path, (opened) => {
    const status = sys.targetStatus(opened.path);
    if (status === null) return null;
    if (!isRegularFile(status)) {
      throw new RequestError('INVALID_ARGUMENT', `${path} of the image is not a regular file`);
    }
    try {
      return sys.readFile(opened.path, maxTextBytes);
    } catch (error) {
      if (!isErrno(error, 'EFBIG')) throw error;
      throw new RequestError('INVALID_ARGUMENT', `${path} of the image is too large`);
    }
  });
}

/** Makes a directory of the image, with its parents, unless it is there. */
export function makeDirectoryInRoot(sys: Sys, root: string, path: string): void {
  let opened: OpenedPath;
  try {
    opened = sys.makeInRoot(root, path);
  } catch (error) {
    if (!isErrno(error, ...absent, 'EEXIST')) throw error;
    throw notDirectory(path);
  }
  try {
    const status = sys.targetStatus(opened.path);
    if (status !== null && !isDirectory(status)) throw notDirectory(path);
  } finally {
    sys.closePath(opened);
  }
}

/** In the words of Docker. */
function notDirectory(path: string): RequestError {
  return new RequestError('INVALID_ARGUMENT', `Cannot mkdir: ${path} is not a directory`);
}

function withOpened<T>(
  sys: Sys,
  root: string,
  path: string,
  use: (opened: OpenedPath) => T,
): T | null {
  const opened = sys.findInRoot(root, path);
  if (opened === null) return null;
  try {
    return use(opened);
  } finally {
    sys.closePath(opened);
  }
}
