/** One file of a layer. */
export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'link';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Buffer;
  /** Of a symbolic link what it says, of a hard link the path of the other name, else empty. */
  readonly target: string;
}

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

const empty = Buffer.alloc(0);
const rootOwned = { uid: 0, gid: 0, content: empty, target: '' };
const plainDirectory: TreeEntry = { ...rootOwned, type: 'directory', mode: 0o755 };

/**
 * The files of one layer by path without a leading slash; the layers beneath can be read through it.
 * What is added later wins.
 */
export class LayerTree {
  readonly #entries = new Map<string, TreeEntry>();
  readonly #below: LayerTree | undefined;

  constructor(below?: LayerTree) {
    this.#below = below;
  }

  addFile(path: string, content: string | Buffer, mode = 0o644, owner: Owner = {}): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    this.add(path, { ...rootOwned, type: 'file', mode, content: bytes, ...owner });
  }

  addDirectory(path: string, mode = 0o755, owner: Owner = {}): void {
    this.add(path, { ...plainDirectory, mode, ...owner });
  }

  addSymlink(path: string, target: string): void {
    this.add(path, { ...rootOwned, type: 'symlink', mode: 0o777, target });
  }

  /** A further name of a file of this layer. */
  addHardLink(path: string, target: string): void {
    const file = this.#entries.get(target);
    if (file?.type !== 'file')
      throw new Error(`${path}: hard link to ${target}, no file of this layer`);
    this.add(path, { ...file, type: 'link', content: empty, target });
  }

  /** Adds an entry, and its parent directories as they are beneath. */
  add(path: string, entry: TreeEntry): void {
    const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
    if (parent !== '' && !this.#entries.has(parent)) {
      this.add(parent, this.#below?.find(parent) ?? plainDirectory);
    }
    this.#entries.set(path, entry);
  }

  /** The entry in this layer or the nearest beneath that has it. */
  find(path: string): TreeEntry | undefined {
    return this.#entries.get(path) ?? this.#below?.find(path);
  }

  /** The text of a file that must exist. */
  readText(path: string): string {
    const entry = this.find(path);
    if (entry === undefined) throw new Error(`${path}: not in this layer or one beneath`);
    return entry.type === 'link' ? this.readText(entry.target) : entry.content.toString('utf8');
  }

  /** This layer's entries, sorted by path, hard links last: they must follow the file they name. */
  sorted(): readonly (readonly [string, TreeEntry])[] {
    const byPath = [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1));
    const isLink = ([, { type }]: readonly [string, TreeEntry]): boolean => type === 'link';
    return [...byPath.filter((entry) => !isLink(entry)), ...byPath.filter(isLink)];
  }
}
