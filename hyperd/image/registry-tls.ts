import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { getCACertificates } from 'node:tls';

import { isErrno } from '../base/error.ts';
import { isInsecure, type RegistryConfig } from './registry-config.ts';

/** TLS options for one registry, in the words of node:tls. */
export interface RegistryTls {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Reads `<caDirectory>/<host[:port]>/` as Docker reads /etc/docker/certs.d: `*.crt` are authorities
 * beside the system's, `NAME.cert` with `NAME.key` is who we are.
 */
export async function registryTls(config: RegistryConfig, domain: string): Promise<RegistryTls> {
  const directory = path.join(config.caDirectory ?? '', domain);
  const files = config.caDirectory === undefined ? [] : await listed(directory);
  const read = (name: string): Promise<string> => readFile(path.join(directory, name), 'utf8');
  const authorities = await Promise.all(files.filter((name) => name.endsWith('.crt')).map(read));
  const own = files.find(
    (name) => name.endsWith('.cert') && files.includes(name.replace(/cert$/, 'key')),
  );
  return {
    // Who gives an authority wants it checked, also of a registry that could do without.
    rejectUnauthorized: !isInsecure(config, domain) || authorities.length > 0,
    ...(authorities.length === 0 ? {} : { ca: [...getCACertificates('default'), ...authorities] }),
    ...(own === undefined
      ? {}
      : { cert: await read(own), key: await read(own.replace(/cert$/, 'key')) }),
  };
}

async function listed(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (thrown) {
    if (isErrno(thrown, 'ENOENT')) return [];
    throw thrown;
  }
}
