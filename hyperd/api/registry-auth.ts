import type { RegistryAuth } from '../image/image-store.ts';

/** Decodes `X-Registry-Auth` (base64url JSON). As with Docker, one that cannot be read means none. */
export function parseRegistryAuth(header: string | readonly string[] | undefined): RegistryAuth {
  if (typeof header !== 'string' || header === '') {
    return {};
  }
  try {
    return toRegistryAuth(JSON.parse(Buffer.from(header, 'base64url').toString('utf8')));
  } catch {
    return {};
  }
}

/** Docker's AuthConfig in our words; what is no text is left out. */
export function toRegistryAuth(value: unknown): RegistryAuth {
  if (typeof value !== 'object' || value === null) {
    return {};
  }
  const fields = new Map<string, unknown>(
    Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]),
  );
  const pick = <Name extends keyof RegistryAuth>(name: Name): Partial<Record<Name, string>> => {
    const text = fields.get(name.toLowerCase());
    return typeof text === 'string' && text !== ''
      ? ({ [name]: text } as Partial<Record<Name, string>>)
      : {};
  };
  return {
    ...pick('username'),
    ...pick('password'),
    ...pick('identityToken'),
    ...pick('registryToken'),
    ...pick('serverAddress'),
  };
}
