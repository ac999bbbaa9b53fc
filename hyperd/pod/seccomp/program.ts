import { createHash } from 'node:crypto';

import { compileSeccomp } from './compiler.ts';
import { parseSeccompProfile } from './custom-profile.ts';
import { defaultProfile } from './default-profile.ts';

/** What a container's filter depends on. */
export interface SeccompRequest {
  readonly seccomp:
    { readonly kind: 'default' } | { readonly kind: 'profile'; readonly json: string } | null;
  readonly capabilities: readonly string[];
}

const cacheSize = 64;
const cache = new Map<string, string>();

/** The BPF program (base64) of a container or exec; null when nothing is filtered. Cached. */
export function seccompProgram({ seccomp, capabilities }: SeccompRequest): string | null {
  if (seccomp === null) return null;
  const json = seccomp.kind === 'profile' ? seccomp.json : null;
  const key = createHash('sha256')
    .update(JSON.stringify([json, [...capabilities].sort()]))
    .digest('hex');
  const cached = cache.get(key);
  if (cached !== undefined) return cached;
  const profile =
    json === null ? defaultProfile(capabilities) : parseSeccompProfile(json, capabilities);
  const program = compileSeccomp(profile);
  if (cache.size >= cacheSize) cache.clear();
  cache.set(key, program);
  return program;
}

/** Throws INVALID_ARGUMENT when the request's profile cannot be compiled. */
export function checkSeccomp(request: SeccompRequest): void {
  seccompProgram(request);
}
