import { DatabaseSync } from 'node:sqlite';

import { HyperError } from '../base/error.ts';
import type { ContainerRecord, PodRecord } from './container-record.ts';

const schemaVersion = 1;

const schema = `
  CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;
  CREATE TABLE pods (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  PRAGMA user_version = ${String(schemaVersion)};
`;

/**
 * The daemon's records in one SQLite file. Every call is durable against the daemon's death when it
 * returns. INTERNAL when the file was written by another version.
 */
export class PodStore implements Disposable {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    const version = this.#database.prepare('PRAGMA user_version').get()?.['user_version'];
    if (version === 0) {
      this.#database.exec(`BEGIN; ${schema} COMMIT;`);
    } else if (version !== schemaVersion) {
      this.#database.close();
      throw new HyperError(
        'INTERNAL',
        `${path}: written in format ${String(version)}, this hyperd reads format ${String(schemaVersion)}`,
        { hint: 'start the hyperd version that wrote it, or move the file away to begin anew' },
      );
    }
  }

  containers(): readonly ContainerRecord[] {
    const rows = this.#database.prepare('SELECT record FROM containers').all();
    return rows.map((row) => JSON.parse(String(row['record'])) as ContainerRecord);
  }

  pods(): readonly PodRecord[] {
    const rows = this.#database.prepare('SELECT record FROM pods').all();
    return rows.map((row) => JSON.parse(String(row['record'])) as PodRecord);
  }

  saveContainer(record: ContainerRecord): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO containers (id, name, record) VALUES (?, ?, ?)')
      .run(record.id, record.name, JSON.stringify(record));
  }

  removeContainer(id: string): void {
    this.#database.prepare('DELETE FROM containers WHERE id = ?').run(id);
  }

  savePod(record: PodRecord): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO pods (id, record) VALUES (?, ?)')
      .run(record.id, JSON.stringify(record));
  }

  removePod(id: string): void {
    this.#database.prepare('DELETE FROM pods WHERE id = ?').run(id);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
