import { describe, expect, it } from 'vitest';

import { seccompProgram } from '../../../../hyperd/pod/seccomp/program.ts';
import { selectCapabilities } from '../../../../hyperd/pod/spec/capabilities.ts';

const allow = 0x7fff0000;
const errno = (number: number): number => 0x00050000 | number;
const kill = 0x80000000;
const eperm = errno(1);
const enosys = errno(38);
const x86 = 0xc000003e;

const call = {
  read: 0,
  socket: 41,
  clone: 56,
  mount: 165,
  ptrace: 101,
  personality: 135,
  reboot: 169,
  clone3: 435,
  keyctl: 250,
} as const;

const capabilities = selectCapabilities({ add: [], drop: [], privileged: false });
const byDefault = seccompProgram({ seccomp: { kind: 'default' }, capabilities }) ?? '';

interface CallData {
  readonly number: number;
  readonly args?: readonly bigint[];
  readonly architecture?: number;
}

/** Runs a filter as the kernel would. */
function judge(program: string, { number, args = [], architecture = x86 }: CallData): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(architecture, 4);
  args.forEach((value, index) => data.writeBigUInt64LE(value, 16 + index * 8));
  const bytes = Buffer.from(program, 'base64');
  let accumulator = 0;
  for (let at = 0; at < bytes.length; at += 8) {
    const code = bytes.readUInt16LE(at);
    const k = bytes.readUInt32LE(at + 4);
    const jump = (holds: boolean): number => 8 * bytes.readUInt8(at + (holds ? 2 : 3));
    if (code === 0x06) return k;
    else if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += 8 * k;
    else if (code === 0x15) at += jump(accumulator === k);
    else if (code === 0x25) at += jump(accumulator > k);
    else if (code === 0x35) at += jump(accumulator >= k);
    else throw new Error(`instruction ${String(code)}`);
  }
  throw new Error('the filter ended without a result');
}

describe('the default filter', () => {
  it('allows what every program does and refuses what only root of the machine may', () => {
    expect(judge(byDefault, { number: call.read })).toBe(allow);
    expect(judge(byDefault, { number: call.mount })).toBe(eperm);
    expect(judge(byDefault, { number: call.reboot })).toBe(eperm);
    expect(judge(byDefault, { number: call.keyctl })).toBe(eperm);
    expect(judge(byDefault, { number: call.ptrace })).toBe(allow);
  });

  it('lets clone make processes but no namespaces, and sends clone3 back to clone', () => {
    const newUser = 0x10000000n;

    expect(judge(byDefault, { number: call.clone, args: [0x11n] })).toBe(allow);
    expect(judge(byDefault, { number: call.clone, args: [newUser] })).toBe(eperm);
    expect(judge(byDefault, { number: call.clone3 })).toBe(enosys);
  });

  it('looks at all 64 bits of an argument', () => {
    const high = 1n << 32n;

    expect(judge(byDefault, { number: call.personality, args: [0n] })).toBe(allow);
    expect(judge(byDefault, { number: call.personality, args: [0xffffffffn] })).toBe(allow);
    expect(judge(byDefault, { number: call.personality, args: [high] })).toBe(eperm);
    expect(judge(byDefault, { number: call.personality, args: [1n] })).toBe(eperm);
  });

  it.each([
    ['AF_INET', 2n, allow],
    ['AF_ALG', 38n, eperm],
    ['AF_NFC', 39n, allow],
    ['AF_VSOCK', 40n, eperm],
    ['AF_XDP', 44n, allow],
    ['AF_ALG, disguised by bits that the kernel drops', (1n << 32n) | 38n, eperm],
    ['AF_VSOCK, disguised by bits that the kernel drops', (1n << 63n) | 40n, eperm],
  ])('decides on sockets of %s', (_name, family, action) => {
    expect(judge(byDefault, { number: call.socket, args: [family] })).toBe(action);
  });

  it('kills calls of another architecture and refuses those of x32', () => {
    expect(judge(byDefault, { number: call.read, architecture: 0x40000003 })).toBe(kill);
    expect(judge(byDefault, { number: 0x40000000 + call.read })).not.toBe(allow);
  });

  it('opens with capabilities', () => {
    const more = [...capabilities, 'CAP_SYS_ADMIN', 'CAP_SYS_BOOT'];
    const program = seccompProgram({ seccomp: { kind: 'default' }, capabilities: more }) ?? '';

    expect(judge(program, { number: call.mount })).toBe(allow);
    expect(judge(program, { number: call.clone3 })).toBe(allow);
    expect(judge(program, { number: call.reboot })).toBe(allow);
  });
});

describe('a profile of the user’s own', () => {
  it('counts with actions, error numbers, arguments and capabilities', () => {
    const json = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['reboot', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 5 },
        {
          names: ['socket'],
          action: 'SCMP_ACT_KILL_PROCESS',
          args: [{ index: 0, value: 16, op: 'SCMP_CMP_GE' }],
        },
        { names: ['read'], action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_BPF'] } },
      ],
    });
    const program = seccompProgram({ seccomp: { kind: 'profile', json }, capabilities }) ?? '';

    expect(judge(program, { number: call.reboot })).toBe(errno(5));
    expect(judge(program, { number: call.socket, args: [15n] })).toBe(allow);
    expect(judge(program, { number: call.socket, args: [16n] })).toBe(kill);
    expect(judge(program, { number: call.socket, args: [1n << 40n] })).toBe(kill);
    expect(judge(program, { number: call.read })).toBe(allow);
  });

  it('wants all conditions of an entry to hold, unless two are about one argument', () => {
    const equals = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' });
    const compile = (...args: readonly object[]): string => {
      const syscalls = [{ names: ['socket'], action: 'SCMP_ACT_ALLOW', args }];
      const json = JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls });
      return seccompProgram({ seccomp: { kind: 'profile', json }, capabilities }) ?? '';
    };
    const socket = (program: string, ...args: readonly bigint[]): number =>
      judge(program, { number: call.socket, args });

    const both = compile(equals(0, 2), equals(1, 7));
    expect([socket(both, 2n, 7n), socket(both, 2n, 8n), socket(both, 3n, 7n)]).toEqual([
      ...[allow, eperm, eperm],
    ]);
    const either = compile(equals(0, 2), equals(0, 3), equals(1, 7));
    expect([socket(either, 2n, 8n), socket(either, 3n, 8n), socket(either, 4n, 7n)]).toEqual([
      ...[allow, allow, allow],
    ]);
    expect(socket(either, 4n, 8n)).toBe(eperm);
  });

  it.each(['{', '[]', '{"defaultAction":"SCMP_ACT_FLY"}'])('%s is refused', (json) => {
    expect(() => seccompProgram({ seccomp: { kind: 'profile', json }, capabilities })).toThrow(
      'seccomp profile failed',
    );
  });
});
