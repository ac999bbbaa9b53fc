import { describe, expect, it } from 'vitest';

import { deviceRules } from '../../../hyperd/pod/spec/device-rules.ts';
import { deviceProgram } from '../../../hyperstart/device-program.ts';
import type { DeviceRule } from '../../../hyperstart/protocol/message.ts';

const types = { block: 1, character: 2 };
const bits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };

interface Attempt {
  readonly type: keyof typeof types;
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

/** Runs a program as the kernel would; whatever it does not know is a fault of the program. */
function judge(program: ArrayBuffer, { type, major, minor, access }: Attempt): number {
  const wanted = access.split('').reduce((sum, letter) => sum | (bits[letter] ?? NaN), 0);
  const context = [(wanted << 16) | types[type], major, minor];
  const view = new DataView(program);
  const registers = new Array<number>(11).fill(NaN);
  for (let at = 0; at < program.byteLength; at += 8) {
    const code = view.getUint8(at);
    const destination = view.getUint8(at + 1) & 15;
    const source = view.getUint8(at + 1) >> 4;
    const offset = view.getInt16(at + 2, true);
    const constant = view.getInt32(at + 4, true);
    const value = registers[destination] ?? NaN;
    if (code === 0x95) return registers[0] ?? NaN;
    else if (code === 0x61 && source === 1) registers[destination] = context[offset / 4] ?? NaN;
    else if (code === 0x57) registers[destination] = value & constant;
    else if (code === 0x77) registers[destination] = value >>> constant;
    else if (code === 0xbf) registers[destination] = registers[source] ?? NaN;
    else if (code === 0xb7) registers[destination] = constant;
    else if (code === 0x55) at += value === constant ? 0 : 8 * offset;
    else if (code === 0x45) at += (value & constant) === 0 ? 0 : 8 * offset;
    else throw new Error(`instruction ${code.toString(16)}`);
  }
  throw new Error('the program ended without an answer');
}

/** Instructions that no path leads to: the kernel refuses a program with one. */
function unreachable(program: ArrayBuffer): readonly number[] {
  const view = new DataView(program);
  const count = program.byteLength / 8;
  const reached = new Set([0]);
  for (const at of reached) {
    const code = view.getUint8(at * 8);
    if (code === 0x95) continue;
    reached.add(at + 1);
    if (code === 0x55 || code === 0x45) reached.add(at + 1 + view.getInt16(at * 8 + 2, true));
  }
  expect(Math.max(...reached)).toBeLessThan(count);
  return Array.from({ length: count }, (_, at) => at).filter((at) => !reached.has(at));
}

const disk = { type: 'block', major: 254, minor: 0 } as const;

describe('the device program of a default container', () => {
  const program = deviceProgram(deviceRules(false));

  it('lets nodes be made of any device, and used of none but Docker’s', () => {
    expect(judge(program, { ...disk, access: 'm' })).toBe(1);
    expect(judge(program, { ...disk, access: 'r' })).toBe(0);
    expect(judge(program, { ...disk, access: 'w' })).toBe(0);
    expect(judge(program, { ...disk, access: 'rm' })).toBe(0);
  });

  it.each([
    ['null', 1, 3, 1],
    ['mem', 1, 1, 0],
    ['port', 1, 4, 0],
    ['zero', 1, 5, 1],
    ['full', 1, 7, 1],
    ['random', 1, 8, 1],
    ['urandom', 1, 9, 1],
    ['kmsg', 1, 11, 0],
    ['tty', 5, 0, 1],
    ['console', 5, 1, 1],
    ['ptmx', 5, 2, 1],
    ['a terminal', 136, 77, 1],
    ['net/tun', 10, 200, 1],
    ['fuse', 10, 229, 0],
    ['the port of the agent', 250, 1, 0],
  ])('decides on %s', (_name, major, minor, answer) => {
    expect(judge(program, { type: 'character', major, minor, access: 'rw' })).toBe(answer);
  });

  it('tells block devices from character devices of the same number', () => {
    expect(judge(program, { type: 'block', major: 1, minor: 3, access: 'r' })).toBe(0);
  });
});

describe('a device program', () => {
  it('allows a privileged container everything', () => {
    expect(judge(deviceProgram(deviceRules(true)), { ...disk, access: 'rwm' })).toBe(1);
  });

  it('allows nothing without a rule', () => {
    const attempt = { type: 'character', major: 1, minor: 3, access: 'r' } as const;
    expect(judge(deviceProgram([]), attempt)).toBe(0);
  });

  it('wants one rule to allow all of an access', () => {
    const halves: readonly DeviceRule[] = [
      { ...disk, access: 'r' },
      { ...disk, access: 'w' },
    ];
    expect(judge(deviceProgram(halves), { ...disk, access: 'w' })).toBe(1);
    expect(judge(deviceProgram(halves), { ...disk, access: 'rw' })).toBe(0);
  });

  it('takes the largest device number', () => {
    const last = { type: 'block', major: 0xfff, minor: 0xfffff } as const;
    expect(judge(deviceProgram([{ ...last, access: 'r' }]), { ...last, access: 'r' })).toBe(1);
  });

  it.each([
    ['of the default', deviceRules(false)],
    ['of a privileged container', deviceRules(true)],
    ['without a rule', []],
    ['with an open rule in the middle', [...deviceRules(false), ...deviceRules(true)]],
  ])('%s has no code that is never reached', (_name, rules) => {
    expect(unreachable(deviceProgram(rules))).toEqual([]);
  });
});
