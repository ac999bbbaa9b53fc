import type { Platform } from './image-store.ts';

/** The platform of the machine that containers see. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };
}

/** `linux/arm/v7`. */
export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}

/** True when the wanted machine can run what was built for `candidate`. */
export function platformFits(candidate: Platform, wanted: Platform): boolean {
  return rankOf(candidate, wanted) !== null;
}

/** How well a candidate fits, 0 the best; null when it does not. */
export function rankOf(candidate: Platform, wanted: Platform): number | null {
  if (candidate.os !== wanted.os || candidate.architecture !== wanted.architecture) return null;
  const rank = acceptableVariants(wanted).indexOf(candidate.variant ?? '');
  return rank < 0 ? null : rank;
}

/** Variants that the wanted machine runs, best first; '' is none given. */
function acceptableVariants({ architecture, variant = '' }: Platform): readonly string[] {
  switch (architecture) {
    case 'arm64':
      return variant === '' || variant === 'v8' ? ['v8', ''] : [variant, 'v8', ''];
    case 'arm':
      return downFrom(variant === '' ? 'v7' : variant, 5);
    case 'amd64':
      return downFrom(variant === '' ? 'v1' : variant, 1);
    default:
      return variant === '' ? [''] : [variant, ''];
  }
}

/** `v3`, `v2`, `v1`, ''. */
function downFrom(variant: string, lowest: number): readonly string[] {
  const level = /^v([1-9])$/.exec(variant)?.[1];
  if (level === undefined) return [variant];
  const count = Math.max(Number(level) - lowest + 1, 1);
  return [...Array.from({ length: count }, (_, step) => `v${String(Number(level) - step)}`), ''];
}
