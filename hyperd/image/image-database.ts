import { DatabaseSync } from 'node:sqlite';

export interface ImageRow {
  readonly id: string;
  /** The config blob as it came. */
  readonly config: Uint8Array;
  readonly taggedUnixMs: number;
}

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, config BLOB NOT NULL, tagged INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS names (
    name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id), is_digest INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS layers (diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS leases (
    owner TEXT NOT NULL, diff_id TEXT NOT NULL, PRIMARY KEY (owner, diff_id)) STRICT;
`;

/** The records of images: what exists, under which names, and who holds which layers. */
export class ImageDatabase implements Disposable {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec(schema);
  }

  images(): readonly ImageRow[] {
    const rows = this.#database
      .prepare('SELECT id, config, tagged FROM images ORDER BY rowid')
      .all();
    return rows.map((row) => ({
      id: String(row['id']),
      config: row['config'] as Uint8Array,
      taggedUnixMs: Number(row['tagged']),
    }));
  }

  addImage(id: string, config: Uint8Array): void {
    this.#database
      .prepare('INSERT INTO images VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING')
      .run(id, config, Date.now());
  }

  removeImage(id: string): void {
    this.#database.prepare('DELETE FROM names WHERE image = ?').run(id);
    this.#database.prepare('DELETE FROM images WHERE id = ?').run(id);
  }

  /** Every name, tags (`a:b`) and digests (`a@sha256:…`), with its image. */
  names(): readonly {
    readonly name: string;
    readonly image: string;
    readonly isDigest: boolean;
  }[] {
    const rows = this.#database
      .prepare('SELECT name, image, is_digest FROM names ORDER BY name')
      .all();
    return rows.map((row) => ({
      name: String(row['name']),
      image: String(row['image']),
      isDigest: row['is_digest'] === 1,
    }));
  }

  setName(name: string, image: string, isDigest: boolean): void {
    this.#database
      .prepare(
        'INSERT INTO names VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET image = excluded.image',
      )
      .run(name, image, isDigest ? 1 : 0);
    this.#database.prepare('UPDATE images SET tagged = ? WHERE id = ?').run(Date.now(), image);
  }

  removeName(name: string): void {
    this.#database.prepare('DELETE FROM names WHERE name = ?').run(name);
  }

  /** All of `action`, or nothing of it, is recorded. */
  transaction(action: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      action();
      this.#database.exec('COMMIT');
    } catch (thrown) {
      this.#database.exec('ROLLBACK');
      throw thrown;
    }
  }

  hasLayer(diffId: string): boolean {
    return (
      this.#database.prepare('SELECT 1 FROM layers WHERE diff_id = ?').get(diffId) !== undefined
    );
  }

  layerSizes(): ReadonlyMap<string, number> {
    const rows = this.#database.prepare('SELECT diff_id, size FROM layers').all();
    return new Map(rows.map((row) => [String(row['diff_id']), Number(row['size'])]));
  }

  addLayer(diffId: string, sizeBytes: number): void {
    this.#database.prepare('INSERT OR REPLACE INTO layers VALUES (?, ?)').run(diffId, sizeBytes);
  }

  removeLayer(diffId: string): void {
    this.#database.prepare('DELETE FROM layers WHERE diff_id = ?').run(diffId);
  }

  addLease(owner: string, diffIds: readonly string[]): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO leases VALUES (?, ?)');
    for (const diffId of diffIds) insert.run(owner, diffId);
  }

  removeLease(owner: string): void {
    this.#database.prepare('DELETE FROM leases WHERE owner = ?').run(owner);
  }

  leasedLayers(): ReadonlySet<string> {
    const rows = this.#database.prepare('SELECT DISTINCT diff_id FROM leases').all();
    return new Set(rows.map((row) => String(row['diff_id'])));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
