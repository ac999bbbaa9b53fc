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
const maxNameLength = 255;

/** Parses what a user types. INVALID_ARGUMENT with Docker's words. No tag is added. */
export function parseReference(text: string): Reference {
  const [beforeDigest = '', digest, ...surplus] = text.split('@');
  const { name, tag } = splitTag(beforeDigest);
  const { domain, path } = splitDomain(name);
  if (/[A-Z]/.test(path)) {
    throw invalid(text, `repository name (${path}) must be lowercase`);
  }
  const isValid =
    surplus.length === 0 &&
    (digest === undefined || isDigest(digest)) &&
    (tag === null || tagPattern.test(tag)) &&
    domainPattern.test(domain) &&
    pathPattern.test(path) &&
    `${domain}/${path}`.length <= maxNameLength;
  if (!isValid || /^[0-9a-f]{64}$/.test(text)) throw invalid(text, '');
  return { domain, path, tag, digest: digest ?? null };
}

/** With `latest` where neither tag nor digest is given. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === null && reference.digest === null
    ? { ...reference, tag: 'latest' }
    : reference;
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

function splitTag(text: string): { name: string; tag: string | null } {
  const colon = text.lastIndexOf(':');
  return colon > text.lastIndexOf('/')
    ? { name: text.slice(0, colon), tag: text.slice(colon + 1) }
    : { name: text, tag: null };
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, slash);
  const isDomain =
    slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = isDomain ? first : dockerHub;
  const rest = isDomain ? name.slice(slash + 1) : name;
  const isHub = domain === dockerHub || domain === 'index.docker.io';
  const path = isHub && !rest.includes('/') ? `library/${rest}` : rest;
  return { domain: isHub ? dockerHub : domain, path };
}

function invalid(text: string, why: string): HyperError {
  const detail = why === '' ? '' : `: ${why}`;
  return new HyperError('INVALID_ARGUMENT', `invalid reference format${detail}`, {
    hint: `"${text}" should look like busybox, debian:13 or host:5000/team/app@sha256:…`,
  });
}
