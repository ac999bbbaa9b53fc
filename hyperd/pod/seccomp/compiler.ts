import type { SeccompAction, SeccompCondition, SeccompProfile } from './profile.ts';
import syscalls from './syscalls-x86_64.json' with { type: 'json' };

/*
 * Classic BPF as seccomp(2) takes it: struct sock_filter is u16 code, u8 jump-if-true, u8 jump-if-false,
 * u32 operand. The input is struct seccomp_data: u32 nr, u32 arch, u64 instruction pointer, u64 args[6].
 */
const load = 0x20;
const jumpEqual = 0x15;
const jumpGreater = 0x25;
const jumpGreaterOrEqual = 0x35;
const andWith = 0x54;
const returnValue = 0x06;
const syscallOffset = 0;
const architectureOffset = 4;
const firstArgumentOffset = 16;
/** AUDIT_ARCH_X86_64 and the bit that marks the x32 ABI, whose numbers overlap with ours. */
const x86_64 = 0xc000003e;
const x32Bit = 0x40000000;

interface Instruction {
  readonly code: number;
  readonly onTrue: number;
  readonly onFalse: number;
  readonly operand: number;
}

/**
 * Compiles a profile to base64 of a sock_filter array. Names that this kernel does not have are left out,
 * as libseccomp does; another architecture is killed.
 */
export function compileSeccomp(profile: SeccompProfile): string {
  const numbers = syscalls as Readonly<Record<string, number>>;
  const body: Instruction[] = [];
  for (const rule of profile.rules) {
    const known = rule.names.flatMap((name) => numbers[name] ?? []).sort((a, b) => a - b);
    if (rule.conditions.length === 0) {
      for (const [from, to] of ranges(known)) body.push(...matchRange(from, to, rule.action));
    } else {
      for (const number of known)
        body.push(...matchArguments(number, rule.conditions, rule.action));
    }
  }
  const program = [
    statement(load, architectureOffset),
    jump(jumpEqual, x86_64, 1, 0),
    statement(returnValue, actionValue({ kind: 'kill-process' })),
    statement(load, syscallOffset),
    jump(jumpGreaterOrEqual, x32Bit, 0, 1),
    statement(returnValue, actionValue(profile.defaultAction)),
    ...body,
    statement(returnValue, actionValue(profile.defaultAction)),
  ];
  return encode(program).toString('base64');
}

function matchRange(from: number, to: number, action: SeccompAction): readonly Instruction[] {
  const result = statement(returnValue, actionValue(action));
  if (from === to) return [jump(jumpEqual, from, 0, 1), result];
  return [jump(jumpGreaterOrEqual, from, 0, 2), jump(jumpGreater, to, 1, 0), result];
}

/** One system call whose arguments decide; the accumulator holds its number again afterwards. */
function matchArguments(
  number: number,
  conditions: readonly SeccompCondition[],
  action: SeccompAction,
): readonly Instruction[] {
  const checks: Instruction[] = [];
  const result = statement(returnValue, actionValue(action));
  for (const condition of [...conditions].reverse()) {
    // What follows a failed check: the rest of the checks and the return.
    checks.unshift(...checkArgument(condition, checks.length + 1));
  }
  const body = [...checks, result, statement(load, syscallOffset)];
  return [jump(jumpEqual, number, 0, body.length), ...body];
}

/** Instructions that fall through when the 64-bit condition holds, else jump over `rest` further ones. */
function checkArgument(condition: SeccompCondition, rest: number): readonly Instruction[] {
  const low = Number(condition.value & 0xffffffffn);
  const high = Number(condition.value >> 32n);
  const lowOffset = firstArgumentOffset + condition.index * 8;
  const loadHigh = statement(load, lowOffset + 4);
  const loadLow = statement(load, lowOffset);
  switch (condition.operator) {
    case 'equal':
      return [loadHigh, jump(jumpEqual, high, 0, rest + 2), loadLow, jump(jumpEqual, low, 0, rest)];
    case 'not-equal':
      return [loadHigh, jump(jumpEqual, high, 0, 2), loadLow, jump(jumpEqual, low, rest, 0)];
    case 'masked-equal':
      return [
        ...[loadHigh, statement(andWith, Number(condition.mask >> 32n))],
        jump(jumpEqual, high, 0, rest + 3),
        ...[loadLow, statement(andWith, Number(condition.mask & 0xffffffffn))],
        jump(jumpEqual, low, 0, rest),
      ];
    case 'greater':
    case 'greater-or-equal': {
      const compare = condition.operator === 'greater' ? jumpGreater : jumpGreaterOrEqual;
      return [
        ...[loadHigh, jump(jumpGreater, high, 3, 0), jump(jumpEqual, high, 0, rest + 2)],
        ...[loadLow, jump(compare, low, 0, rest)],
      ];
    }
    case 'less':
    case 'less-or-equal': {
      const compare = condition.operator === 'less' ? jumpGreaterOrEqual : jumpGreater;
      return [
        ...[loadHigh, jump(jumpGreater, high, rest + 3, 0), jump(jumpEqual, high, 0, 2)],
        ...[loadLow, jump(compare, low, rest, 0)],
      ];
    }
  }
}

function ranges(sorted: readonly number[]): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  for (const number of sorted) {
    const last = found.at(-1);
    if (last !== undefined && number <= last[1] + 1) last[1] = number;
    else found.push([number, number]);
  }
  return found;
}

/** SECCOMP_RET_… of the kernel's linux/seccomp.h. */
function actionValue(action: SeccompAction): number {
  switch (action.kind) {
    case 'allow':
      return 0x7fff0000;
    case 'log':
      return 0x7ffc0000;
    case 'trap':
      return 0x00030000;
    case 'kill-thread':
      return 0x00000000;
    case 'kill-process':
      return 0x80000000;
    case 'errno':
      return 0x00050000 | (action.errno & 0xffff);
  }
}

function statement(code: number, operand: number): Instruction {
  return { code, onTrue: 0, onFalse: 0, operand };
}

function jump(code: number, operand: number, onTrue: number, onFalse: number): Instruction {
  return { code, onTrue, onFalse, operand };
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, onTrue, onFalse, operand }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(onTrue, index * 8 + 2);
    bytes.writeUInt8(onFalse, index * 8 + 3);
    bytes.writeUInt32LE(operand >>> 0, index * 8 + 4);
  }
  return bytes;
}
