import { HyperError } from '../../base/error.ts';
import type { SeccompAction, SeccompCondition, SeccompProfile, SeccompRule } from './profile.ts';

const operators: Readonly<Record<string, SeccompCondition['operator']>> = {
  SCMP_CMP_EQ: 'equal',
  SCMP_CMP_NE: 'not-equal',
  SCMP_CMP_MASKED_EQ: 'masked-equal',
  SCMP_CMP_LT: 'less',
  SCMP_CMP_LE: 'less-or-equal',
  SCMP_CMP_GT: 'greater',
  SCMP_CMP_GE: 'greater-or-equal',
};

/** Parses a profile in Docker's JSON format, for a container with these capabilities. */
export function parseSeccompProfile(text: string, capabilities: readonly string[]): SeccompProfile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fault('it is not JSON', cause);
  }
  const profile = record(value, 'profile');
  const defaultErrno = number(profile['defaultErrnoRet'], 1);
  const rules = list(profile['syscalls']).flatMap((entry, index) =>
    parseRule(record(entry, `syscalls[${String(index)}]`), capabilities),
  );
  return {
    defaultAction: parseAction(profile['defaultAction'], defaultErrno, 'defaultAction'),
    rules,
  };
}

function parseRule(
  entry: Readonly<Record<string, unknown>>,
  capabilities: readonly string[],
): readonly SeccompRule[] {
  const includes = record(entry['includes'] ?? {}, 'includes');
  const excludes = record(entry['excludes'] ?? {}, 'excludes');
  const isForUs = (arches: readonly string[]): boolean =>
    arches.includes('amd64') || arches.includes('x32');
  const wantedCaps = strings(includes['caps']);
  const wantedArches = strings(includes['arches']);
  if (!wantedCaps.every((name) => capabilities.includes(name))) return [];
  if (wantedArches.length > 0 && !isForUs(wantedArches)) return [];
  if (strings(excludes['caps']).some((name) => capabilities.includes(name))) return [];
  if (isForUs(strings(excludes['arches']))) return [];
  const names = [
    ...strings(entry['names']),
    ...strings(entry['name'] === undefined ? [] : [entry['name']]),
  ];
  const conditions = list(entry['args']).map((argument) =>
    parseCondition(record(argument, 'args')),
  );
  const action = parseAction(
    entry['action'],
    number(entry['errnoRet'], 1),
    `action of ${names.join(',')}`,
  );
  return alternatives(conditions).map((each) => ({ names, action, conditions: each }));
}

/**
 * As runc reads them: the conditions of an entry must all hold, but once two of them are about the same
 * argument, each of them decides by itself.
 */
function alternatives(
  conditions: readonly SeccompCondition[],
): readonly (readonly SeccompCondition[])[] {
  const indexes = new Set(conditions.map(({ index }) => index));
  return indexes.size === conditions.length
    ? [conditions]
    : conditions.map((condition) => [condition]);
}

function parseCondition(argument: Readonly<Record<string, unknown>>): SeccompCondition {
  const operator = operators[String(argument['op'])];
  const index = number(argument['index'], -1);
  if (operator === undefined || index < 0 || index > 5) {
    throw fault(`bad argument rule ${JSON.stringify(argument)}`);
  }
  const value = BigInt(number(argument['value'], 0));
  const valueTwo = BigInt(number(argument['valueTwo'], 0));
  // For a masked comparison the format has the mask first and the value second.
  return operator === 'masked-equal'
    ? { index, operator, value: valueTwo, mask: value }
    : { index, operator, value, mask: 0n };
}

function parseAction(value: unknown, errno: number, field: string): SeccompAction {
  switch (value) {
    case 'SCMP_ACT_ALLOW':
      return { kind: 'allow' };
    case 'SCMP_ACT_ERRNO':
      return { kind: 'errno', errno };
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return { kind: 'kill-thread' };
    case 'SCMP_ACT_KILL_PROCESS':
      return { kind: 'kill-process' };
    case 'SCMP_ACT_TRAP':
      return { kind: 'trap' };
    case 'SCMP_ACT_LOG':
      return { kind: 'log' };
    default:
      throw fault(`${field}: ${JSON.stringify(value)} is not supported`);
  }
}

function record(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault(`${field} is not an object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw fault(`${JSON.stringify(value)} is not a list`);
  return value;
}

function strings(value: unknown): readonly string[] {
  return list(value).map(String);
}

function number(value: unknown, absent: number): number {
  if (value === undefined || value === null) return absent;
  if (!Number.isSafeInteger(value) || Number(value) < 0) {
    throw fault(`${JSON.stringify(value)} is not a number`);
  }
  return Number(value);
}

function fault(why: string, cause?: unknown): HyperError {
  return new HyperError('INVALID_ARGUMENT', `opening seccomp profile failed: ${why}`, { cause });
}
