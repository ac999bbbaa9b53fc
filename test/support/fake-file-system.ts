import { SysError, type FileStatus, type OpenedPath } from '../../hyperstart/sys/sys.ts';

const typeBits = { file: 0o100000, directory: 0o040000, link: 0o120000, node: 0 } as const;

interface Entry {
  type: keyof typeof typeBits;
  mode: number;
  uid: number;
  gid: number;
  /** Content of a file, target of a link. */
  text: string;
  major: number;
  minor: number;
}

const maxLinks = 40;
const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'];
const openedPrefix = '/proc/self/fd/';

/** A tree in memory with the path rules that matter: links, roots, errors by their names. */
export class FakeFileSystem {
  readonly #entries = new Map<string, Entry>([['/', entry('directory', 0o755)]]);
  readonly #opened = new Map<number, string>();
  #nextFd = 100;

  /** Paths that were opened and not closed. */
  get openedPaths(): readonly string[] {
    return [...this.#opened.values()];
  }

  /** Makes a file with its parents; for setting tests up. */
  put(path: string, text: string, mode = 0o644): void {
    this.putDirectory(parentOf(path));
    this.#entries.set(path, { ...entry('file', mode), text });
  }

  putDirectory(path: string, mode = 0o755): void {
    if (this.#entries.has(path)) return;
    this.putDirectory(parentOf(path));
    this.#entries.set(path, entry('directory', mode));
  }

  putLink(path: string, target: string): void {
    this.putDirectory(parentOf(path));
    this.#entries.set(path, { ...entry('link', 0o777), text: target });
  }

  putNode(path: string, mode: number, major: number, minor: number): void {
    this.putDirectory(parentOf(path));
    this.#entries.set(path, { ...entry('node', mode), major, minor });
  }

  /** Copies a tree, as what a mount makes visible. */
  copy(source: string, target: string): void {
    for (const [path, value] of [...this.#entries]) {
      if (path.startsWith(`${source}/`)) {
        this.#entries.set(target + path.slice(source.length), { ...value });
      }
    }
  }

  removeTree(path: string): void {
    for (const name of [...this.#entries.keys()]) {
      if (name.startsWith(`${path}/`)) this.#entries.delete(name);
    }
  }

  exists(path: string): boolean {
    return this.#entries.has(path);
  }

  read(path: string): string {
    const found = this.#require('read', path);
    if (found.type === 'directory') throw failure('read', 'EISDIR', path);
    return found.text;
  }

  write(path: string, text: string, mode?: number): void {
    const resolved = this.resolve('write', path, '/');
    const found = this.#entries.get(resolved);
    if (found !== undefined) {
      if (found.type === 'directory') throw failure('write', 'EISDIR', path);
      found.text = text;
      return;
    }
    if (mode === undefined) throw failure('write', 'ENOENT', path);
    this.#requireParent('write', resolved);
    this.#entries.set(resolved, { ...entry('file', mode), text });
  }

  list(path: string): readonly string[] {
    const resolved = this.resolve('list', path, '/');
    const found = this.#entries.get(resolved);
    if (found === undefined) throw failure('list', 'ENOENT', path);
    if (found.type !== 'directory') throw failure('list', 'ENOTDIR', path);
    return this.#childrenOf(resolved);
  }

  makeDirectory(path: string, mode: number): void {
    this.#make('mkdir', path, entry('directory', mode));
  }

  makeLink(target: string, path: string): void {
    this.#make('symlink', path, { ...entry('link', 0o777), text: target });
  }

  makeNode(path: string, mode: number, major: number, minor: number): void {
    this.#make('mknod', path, { ...entry('node', mode), major, minor });
  }

  removeDirectory(path: string): void {
    if (this.#entries.get(path)?.type !== 'directory') throw failure('rmdir', 'ENOENT', path);
    if (this.#childrenOf(path).length > 0) throw failure('rmdir', 'ENOTEMPTY', path);
    this.#entries.delete(path);
  }

  removeFile(path: string): void {
    const found = this.#entries.get(path);
    if (found === undefined) throw failure('unlink', 'ENOENT', path);
    if (found.type === 'directory') throw failure('unlink', 'EISDIR', path);
    this.#entries.delete(path);
  }

  change(path: string, change: Partial<Pick<Entry, 'mode' | 'uid' | 'gid'>>): void {
    Object.assign(this.#require('chmod', path), change);
  }

  /** lstat, or stat with `follow`. */
  status(path: string, follow: boolean): FileStatus | null {
    try {
      const resolved = follow ? this.resolve('stat', path, '/') : this.#resolveParent(path);
      const found = this.#entries.get(resolved);
      if (found === undefined) return null;
      const { uid, gid, major, minor, text } = found;
      return { mode: typeBits[found.type] | found.mode, uid, gid, size: text.length, major, minor };
    } catch (error) {
      if (error instanceof SysError && error.errno === 'ENOENT') return null;
      throw error;
    }
  }

  findInRoot(root: string, path: string): OpenedPath | null {
    try {
      const resolved = this.resolve('open', path, this.resolve('open', root, '/'));
      return this.#entries.has(resolved) ? this.#open(resolved) : null;
    } catch (error) {
      if (error instanceof SysError && absent.includes(error.errno)) return null;
      throw error;
    }
  }

  makeInRoot(root: string, path: string): OpenedPath {
    const resolved = this.resolve('open', path, this.resolve('open', root, '/'));
    if (!this.#entries.has(resolved)) this.#putChecked(resolved);
    return this.#open(resolved);
  }

  #open(resolved: string): OpenedPath {
    const fd = this.#nextFd++;
    this.#opened.set(fd, resolved);
    return { fd, path: `${openedPrefix}${String(fd)}` };
  }

  close(fd: number): void {
    if (!this.#opened.delete(fd)) throw failure('close', 'EBADF', String(fd));
  }

  /** The path without links, as seen from `root`, which `..` and absolute links do not leave. */
  resolve(operation: string, path: string, root: string): string {
    const base = root === '/' ? '' : root;
    const pending = path.split('/').filter((part) => part !== '' && part !== '.');
    let current = base;
    let links = 0;
    if (path.startsWith(openedPrefix)) {
      current = this.#opened.get(Number(pending[3])) ?? '';
      pending.splice(0, 4);
    }
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === '..') {
        if (current !== base) current = parentOf(current) === '/' ? '' : parentOf(current);
        continue;
      }
      const here = this.#entries.get(current === '' ? '/' : current);
      if (here !== undefined && here.type !== 'directory') {
        throw failure(operation, 'ENOTDIR', path);
      }
      const next = `${current}/${part}`;
      const found = this.#entries.get(next);
      if (found?.type === 'link') {
        links += 1;
        if (links > maxLinks) throw failure(operation, 'ELOOP', path);
        pending.unshift(...found.text.split('/').filter((name) => name !== '' && name !== '.'));
        if (found.text.startsWith('/')) current = base;
      } else {
        current = next;
      }
    }
    return current === '' ? '/' : current;
  }

  #resolveParent(path: string): string {
    if (path.startsWith(openedPrefix)) return path;
    const parent = this.resolve('stat', parentOf(path), '/');
    return `${parent === '/' ? '' : parent}/${path.slice(path.lastIndexOf('/') + 1)}`;
  }

  #make(operation: string, path: string, value: Entry): void {
    if (this.#entries.has(path)) throw failure(operation, 'EEXIST', path);
    this.#requireParent(operation, path);
    this.#entries.set(path, value);
  }

  /** Makes missing directories, but not through something else. */
  #putChecked(path: string): void {
    const found = this.#entries.get(path);
    if (found?.type === 'directory') return;
    if (found !== undefined) throw failure('mkdir', 'ENOTDIR', path);
    this.#putChecked(parentOf(path));
    this.#entries.set(path, entry('directory', 0o755));
  }

  #require(operation: string, path: string): Entry {
    const found = this.#entries.get(this.resolve(operation, path, '/'));
    if (found === undefined) throw failure(operation, 'ENOENT', path);
    return found;
  }

  #requireParent(operation: string, path: string): void {
    if (this.#entries.get(parentOf(path))?.type !== 'directory') {
      throw failure(operation, 'ENOENT', path);
    }
  }

  #childrenOf(path: string): readonly string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    return [...this.#entries.keys()]
      .filter((name) => name !== '/' && name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .filter((name) => !name.includes('/'));
  }
}

function entry(type: Entry['type'], mode: number): Entry {
  return { type, mode, uid: 0, gid: 0, text: '', major: 0, minor: 0 };
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 1));
}

function failure(operation: string, errno: string, path: string): SysError {
  return new SysError(`${operation} ${path}`, errno, errno);
}
