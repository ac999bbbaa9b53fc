import type { SystemCall } from './call-plan.ts';
import { TIOCSWINSZ } from './constants.ts';
import { struct } from './kernel.ts';

/** The call that tells a terminal its size; its foreground processes get SIGWINCH. */
export function windowSizeOf(terminal: number, rows: number, columns: number): SystemCall {
  const size = struct(8, (view) => {
    view.setUint16(0, rows, true);
    view.setUint16(2, columns, true);
  });
  return ['ioctl', terminal, TIOCSWINSZ, size];
}
