import { HyperError } from '../base/error.ts';
import type { Platform } from '../image/image-store.ts';

const architectureAliases: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  i386: '386',
};
const component = /^[A-Za-z0-9_.-]+$/;

/** Parses `os[/architecture[/variant]]` or an architecture alone, as containerd does. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  if (parts.length > 3 || parts.some((part) => !component.test(part))) {
    throw new HyperError('INVALID_ARGUMENT', `"${text}": invalid platform: use os/architecture`);
  }
  const [first = '', second, variant] = parts.map((part) => part.toLowerCase());
  if (second === undefined) {
    return first === 'linux'
      ? { os: first, architecture: hostArchitecture() }
      : { os: 'linux', architecture: architectureAliases[first] ?? first };
  }
  const architecture = architectureAliases[second] ?? second;
  return { os: first, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** The host's architecture in OCI's words. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
