import type { IncomingMessage } from 'node:http';

import { HyperError } from '../base/error.ts';

export const maxApiVersion = '1.51';
export const minApiVersion = '1.24';

const versionPrefix = /^\/v([0-9.]+)(?=\/|$|\?)/;
const requestVersions = new WeakMap<IncomingMessage, string>();

/** Cuts `/v1.xx` off a request's path and remembers it for `apiVersionOf`. */
export function takeApiVersion(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const prefix = versionPrefix.exec(url);
  if (prefix?.[1] === undefined) {
    return url;
  }
  requestVersions.set(request, prefix[1]);
  return url.slice(prefix[0].length) || '/';
}

/** The version that the client asked for; the newest when its path named none. */
export function apiVersionOf(request: IncomingMessage): string {
  return requestVersions.get(request) ?? maxApiVersion;
}

/** Throws INVALID_ARGUMENT in Docker's words for a version that this daemon does not speak. */
export function assertApiVersion(version: string): void {
  if (compareVersions(version, minApiVersion) < 0) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `client version ${version} is too old. Minimum supported API version is ${minApiVersion}, please upgrade your client to a newer version`,
    );
  }
  if (compareVersions(version, maxApiVersion) > 0) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `client version ${version} is too new. Maximum supported API version is ${maxApiVersion}`,
    );
  }
}

/** True when the client speaks `version` or a newer one. */
export function speaksAtLeast(request: IncomingMessage, version: string): boolean {
  return compareVersions(apiVersionOf(request), version) >= 0;
}

function compareVersions(left: string, right: string): number {
  const leftParts = left.split('.').map(Number);
  const rightParts = right.split('.').map(Number);
  for (let index = 0; index < Math.max(leftParts.length, rightParts.length); index += 1) {
    const difference = (leftParts[index] ?? 0) - (rightParts[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}
