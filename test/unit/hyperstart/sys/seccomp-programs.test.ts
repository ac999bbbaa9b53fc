import { describe, expect, it } from 'vitest';

import { SeccompPrograms } from '../../../../hyperstart/sys/seccomp-programs.ts';

const program = (instructions: number): string =>
  Buffer.alloc(instructions * 8, instructions).toString('base64');

describe('SeccompPrograms', () => {
  it('decodes whole instructions, and the same text to the same filter', () => {
    const programs = new SeccompPrograms();
    const filter = programs.decode(program(3));
    expect(filter?.byteLength).toBe(24);
    expect(programs.decode(program(3))).toBe(filter);
    expect(programs.decode(program(2))?.byteLength).toBe(16);
    expect(programs.decode(program(3))?.byteLength).toBe(24);
  });

  it.each(['no base64', Buffer.alloc(7).toString('base64')])('takes no %s', (text) => {
    expect(new SeccompPrograms().decode(text)).toBeNull();
  });
});
