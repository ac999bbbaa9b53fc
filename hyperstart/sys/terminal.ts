import { TIOCSWINSZ } from './constants.ts';
import { type Kernel, struct } from './kernel.ts';

/** Tells a terminal its size; its foreground processes get SIGWINCH. */
export function windowSize(kernel: Kernel, terminal: number, rows: number, columns: number): void {
  const size = struct(8, (view) => {
    view.setUint16(0, rows, true);
    view.setUint16(2, columns, true);
  });
  kernel.call('resize the terminal', 'ioctl', terminal, TIOCSWINSZ, size);
}
