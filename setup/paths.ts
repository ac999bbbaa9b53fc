import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder, with a slash at its end. */
export const root = fileURLToPath(new URL('../', import.meta.url));

/** Where everything that is built or downloaded once is kept; outside the tree, safe to delete. */
export const cacheDirectory = process.env['HYPER_CACHE'] ?? path.join(homedir(), '.cache/hyper');

/** The private Debian archive's folder (see debian-archive.ts). */
export const archiveDirectory = path.join(cacheDirectory, 'debian-archive');
