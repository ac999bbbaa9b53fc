import { HyperError } from '../base/error.ts';
import { isDigest } from './digest.ts';

/** A parsed image reference (distribution/reference grammar). */
export interface Reference {
  /** Registry host with port; Docker Hub is `docker.io`. */
  readonly domain: string;
  /** Repository path, `library/busybox`. */
  readonly path: string;
  readonly tag: string | null;
  readonly digest: string | null;
}

export const dockerHub = 'docker.io';
const domainPattern =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::\d+)?$/;
const pathPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const maxPathLength = 255;
const badFormat = 'invalid reference format';

/** `host[:port]` of a registry. */
export function isDomain(text: string): boolean {
  return domainPattern.test(text);
}

/** Parses what a user types. INVALID_ARGUMENT with Docker's words. No tag is added. */
export function parseReference(text: string): Reference {
  if (/^[0-9a-f]{64}$/.test(text)) {
    const why = `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`;
    throw invalid(text, why);
  }
  const { domain, remainder } = splitDomain(text);
  const upToTag = remainder.split(':', 1)[0] ?? '';
  if (/[A-Z]/.test(upToTag)) {
    throw invalid(text, `${badFormat}: repository name (${upToTag}) must be lowercase`);
  }
  const [beforeDigest = '', digest, ...surplus] = remainder.split('@');
  const { path, tag } = splitTag(beforeDigest);
  const isValid =
    surplus.length === 0 &&
    (digest === undefined || digestPattern.test(digest)) &&
    (tag === null || tagPattern.test(tag)) &&
    domainPattern.test(domain) &&
    pathPattern.test(path);
  if (!isValid) throw invalid(text, badFormat);
  if (path.length > maxPathLength) {
    throw invalid(
      text,
      `repository name must not be more than ${String(maxPathLength)} characters`,
    );
  }
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, digestFault(digest));
  return { domain, path, tag, digest: digest ?? null };
}

/** With `latest` where neither tag nor digest is given. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === null && reference.digest === null
    ? { ...reference, tag: 'latest' }
    : reference;
}

/** The repository of a stored name: `busybox` of `busybox:latest` and of `busybox@sha256:…`. */
export function repositoryOf(name: string): string {
  return familiarName(parseReference(name));
}

/** As Docker shows it: without `docker.io/` and `library/`. */
export function familiarName(reference: Pick<Reference, 'domain' | 'path'>): string {
  const { domain, path } = reference;
  if (domain !== dockerHub) return `${domain}/${path}`;
  return /^library\/[^/]+$/.test(path) ? path.slice('library/'.length) : path;
}

/** `busybox:latest`, `host:5000/app@sha256:…`. */
export function familiarReference(reference: Reference): string {
  const name = familiarName(reference);
  if (reference.digest !== null) return `${name}@${reference.digest}`;
  return reference.tag === null ? name : `${name}:${reference.tag}`;
}

function splitTag(text: string): { readonly path: string; readonly tag: string | null } {
  const colon = text.indexOf(':');
  return colon < 0
    ? { path: text, tag: null }
    : { path: text.slice(0, colon), tag: text.slice(colon + 1) };
}

/** The first part is a registry only if it looks like one: `foo/bar` is on Docker Hub. */
function splitDomain(text: string): { readonly domain: string; readonly remainder: string } {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  const namesRegistry =
    slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const rest = namesRegistry ? text.slice(slash + 1) : text;
  const domain = namesRegistry && first !== 'index.docker.io' ? first : dockerHub;
  const isOfficial = domain === dockerHub && !rest.includes('/');
  return { domain, remainder: isOfficial ? `library/${rest}` : rest };
}

function digestFault(digest: string): string {
  return digest.startsWith('sha256:')
    ? 'invalid checksum digest length'
    : `unsupported digest algorithm: ${digest.split(':', 1)[0] ?? ''}`;
}

function invalid(text: string, why: string): HyperError {
  return new HyperError('INVALID_ARGUMENT', why, {
    hint: `"${text}" should look like busybox, debian:13 or host:5000/team/app@sha256:…`,
  });
}
