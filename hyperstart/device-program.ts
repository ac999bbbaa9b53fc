import type { DeviceRule } from './protocol/message.ts';

/*
 * eBPF of type BPF_PROG_TYPE_CGROUP_DEVICE (linux/bpf.h): u8 opcode, u8 registers (destination low),
 * s16 jump, s32 constant. r1 points to struct bpf_cgroup_dev_ctx: u32 access << 16 | type, u32 major,
 * u32 minor. The answer in r0: 1 allows, 0 refuses with EPERM.
 */
const loadWord = 0x61;
const andWith = 0x57;
const shiftRight = 0x77;
const copyRegister = 0xbf;
const setRegister = 0xb7;
const jumpUnlessEqual = 0x55;
const jumpIfAnyBit = 0x45;
const exit = 0x95;

const [answer, context, type, access, major, minor] = [0, 1, 2, 3, 4, 5];

const typeNumbers = { block: 1, character: 2 } as const;
/** BPF_DEVCG_ACC_…: mknod, read, write. */
const accessBits = { m: 1, r: 2, w: 4 } as const;
const allAccess = 7;

interface Instruction {
  readonly opcode: number;
  readonly destination: number;
  readonly source?: number;
  /** Jump distance, or offset of a load. */
  readonly offset?: number;
  readonly constant?: number;
}

/** A jump away from the rule that it belongs to. */
type Condition = Required<Pick<Instruction, 'opcode' | 'destination' | 'constant'>>;

const prologue: readonly Instruction[] = [
  { opcode: loadWord, destination: access, source: context, offset: 0 },
  { opcode: copyRegister, destination: type, source: access },
  { opcode: andWith, destination: type, constant: 0xffff },
  { opcode: shiftRight, destination: access, constant: 16 },
  { opcode: loadWord, destination: major, source: context, offset: 4 },
  { opcode: loadWord, destination: minor, source: context, offset: 8 },
];

/** The program that allows what at least one rule allows in full, and refuses the rest. */
export function deviceProgram(rules: readonly DeviceRule[]): ArrayBuffer {
  const conditions = rules.map(conditionsOf);
  // The kernel refuses a program with code that is never reached: what follows an open rule would be.
  if (conditions.some((list) => list.length === 0)) return encode(answerWith(1));
  return encode([...prologue, ...conditions.flatMap(allowUnder), ...answerWith(0)]);
}

/** What has to hold: each is an instruction that jumps when it does not. */
function conditionsOf(rule: DeviceRule): readonly Condition[] {
  const conditions: Condition[] = [];
  const equal = (destination: number, constant: number | null): void => {
    if (constant !== null) conditions.push({ opcode: jumpUnlessEqual, destination, constant });
  };
  const allowed = accessMask(rule.access);
  equal(type, rule.type === 'all' ? null : typeNumbers[rule.type]);
  if (allowed !== allAccess) {
    conditions.push({ opcode: jumpIfAnyBit, destination: access, constant: allAccess & ~allowed });
  }
  equal(major, rule.major);
  equal(minor, rule.minor);
  return conditions;
}

function accessMask(letters: DeviceRule['access']): number {
  return Object.entries(accessBits)
    .filter(([letter]) => letters.includes(letter))
    .reduce((mask, [, bit]) => mask | bit, 0);
}

function allowUnder(conditions: readonly Condition[]): readonly Instruction[] {
  const allow = answerWith(1);
  const jumps = conditions.map((condition, index) => ({
    ...condition,
    offset: conditions.length - 1 - index + allow.length,
  }));
  return [...jumps, ...allow];
}

function answerWith(constant: 0 | 1): readonly Instruction[] {
  return [
    { opcode: setRegister, destination: answer, constant },
    { opcode: exit, destination: 0 },
  ];
}

function encode(program: readonly Instruction[]): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(program.length * 8));
  for (const [index, instruction] of program.entries()) {
    const { opcode, destination, source = 0, offset = 0, constant = 0 } = instruction;
    view.setUint8(index * 8, opcode);
    view.setUint8(index * 8 + 1, destination | (source << 4));
    view.setInt16(index * 8 + 2, offset, true);
    view.setInt32(index * 8 + 4, constant, true);
  }
  return view.buffer;
}
