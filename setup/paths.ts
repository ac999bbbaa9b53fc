import { homedir } from 'node:os';
import path from 'node:path';

/** Where everything that is built or downloaded once is kept; outside the tree, safe to delete. */
export const cacheDirectory = process.env['HYPER_CACHE'] ?? path.join(homedir(), '.cache/hyper');

/** The private Debian archive's folder (see debian-archive.ts). */
export const archiveDirectory = path.join(cacheDirectory, 'debian-archive');
