import { isDirectory } from './file-mode.ts';
import { statusInRoot } from './image-file.ts';
import { isErrno, RequestError } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

/** What Docker puts into the environment of a process without a PATH. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

type Check = 'executable' | 'missing' | 'is a directory' | 'permission denied';

export interface ExecutableQuery {
  readonly root: string;
  readonly command: string;
  readonly searchPath: string;
  readonly cwd: string;
}

/**
 * Finds the program of a command inside a root, as execvp(3) would, and returns its absolute path
 * there. Failing, it says so in Docker's words.
 */
export function findExecutable(sys: Sys, query: ExecutableQuery): string {
  const { command, root, cwd } = query;
  if (command.includes('/')) {
    const path = absolute(cwd, command);
    const check = checkExecutable(sys, root, path);
    if (check === 'executable') return path;
    if (check === 'missing') {
      throw new RequestError(
        'COMMAND_NOT_FOUND',
        `exec: ${quote(command)}: stat ${command}: no such file or directory`,
      );
    }
    throw new RequestError('COMMAND_NOT_EXECUTABLE', `exec: ${quote(command)}: ${check}`);
  }
  if (command !== '') {
    for (const directory of query.searchPath.split(':')) {
      const path = absolute(cwd, `${directory === '' ? '.' : directory}/${command}`);
      if (checkExecutable(sys, root, path) === 'executable') return path;
    }
  }
  throw new RequestError(
    'COMMAND_NOT_FOUND',
    `exec: ${quote(command)}: executable file not found in $PATH`,
  );
}

function checkExecutable(sys: Sys, root: string, path: string): Check {
  try {
    const status = statusInRoot(sys, root, path);
    if (status === null) return 'missing';
    if (isDirectory(status)) return 'is a directory';
    return (status.mode & 0o111) === 0 ? 'permission denied' : 'executable';
  } catch (error) {
    if (isErrno(error, 'EACCES')) return 'permission denied';
    throw error;
  }
}

function absolute(cwd: string, path: string): string {
  return path.startsWith('/') ? path : `${cwd === '/' ? '' : cwd}/${path}`;
}

function quote(word: string): string {
  return JSON.stringify(word);
}
