import { HyperError } from '../../base/error.ts';

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  readonly seccomp: SeccompChoice;
  /** `systempaths=unconfined`: nothing masked, nothing read-only. */
  readonly unconfinedPaths: boolean;
}

export type SeccompChoice =
  | { readonly kind: 'default' }
  | { readonly kind: 'unconfined' }
  /** The profile itself, as the docker CLI sends it. */
  | { readonly kind: 'profile'; readonly json: string };

/** Reads `--security-opt` words; unknown ones are refused in Docker's words. */
export function parseSecurityOptions(words: readonly string[]): SecurityOptions {
  let options: SecurityOptions = {
    noNewPrivileges: false,
    seccomp: { kind: 'default' },
    unconfinedPaths: false,
  };
  for (const word of words) options = { ...options, ...parseWord(word) };
  return options;
}

function parseWord(word: string): Partial<SecurityOptions> {
  if (word === 'no-new-privileges') return { noNewPrivileges: true };
  if (word === 'systempaths=unconfined') return { unconfinedPaths: true };
  // Docker's older notation has a colon.
  const match = /^([a-z-]+)[=:]([\s\S]*)$/.exec(word);
  const value = match?.[2] ?? '';
  switch (match?.[1] ?? '') {
    case 'no-new-privileges':
      if (value !== 'true' && value !== 'false') throw invalid(word);
      return { noNewPrivileges: value === 'true' };
    case 'seccomp':
      return { seccomp: parseSeccomp(value) };
    case 'apparmor':
    case 'label':
      return refuseLabelling(word, value);
    default:
      throw invalid(word);
  }
}

function parseSeccomp(value: string): SeccompChoice {
  if (value === 'unconfined') return { kind: 'unconfined' };
  return value === '' || value === 'builtin'
    ? { kind: 'default' }
    : { kind: 'profile', json: value };
}

/** The guest kernel has neither AppArmor nor SELinux: what asks for "none" is there already. */
function refuseLabelling(word: string, value: string): Partial<SecurityOptions> {
  if (value === 'unconfined' || value === 'disable') return {};
  throw new HyperError(
    'UNSUPPORTED',
    `not supported by Hyper: --security-opt ${word}: the guest kernel has neither AppArmor nor SELinux`,
  );
}

/** Docker numbers its refusals: 1 for a word without a value, 2 for an unknown name. */
function invalid(word: string): HyperError {
  const number = /[=:]/.test(word) ? '2' : '1';
  const message = `invalid --security-opt ${number}: ${JSON.stringify(word)}`;
  return new HyperError('INVALID_ARGUMENT', message);
}
