import { HyperError, isHyperError, messageOf } from '../base/error.ts';
import type { Vm } from '../hypervisor/driver.ts';

const toldLines = 12;

/** Runs one phase of a start; its failure says which phase it was, and what the guest printed last. */
export async function inPhase<T>(
  phase: string,
  action: () => Promise<T>,
  vm: Vm | null = null,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const code = isHyperError(cause) ? cause.code : 'INTERNAL';
    const hint = isHyperError(cause) ? cause.hint : undefined;
    throw new HyperError(code, `${phase}: ${messageOf(cause)}${consoleNote(vm)}`, {
      cause,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** The last lines of a VM's console, as a further paragraph of a message; '' when there are none. */
export function consoleNote(vm: Vm | null): string {
  const lines = (vm?.consoleTail() ?? '').trimEnd().split('\n').slice(-toldLines);
  const text = lines.map(printable).filter((line) => line !== '');
  return text.length === 0 ? '' : `; last console lines:\n${text.join('\n')}`;
}

/** Guest output goes to people's terminals: no control characters. */
function printable(line: string): string {
  return line.replace(/[^\P{Cc}\t\n]/gu, '').trimEnd();
}
