import { guard } from './guard.ts';
import type { AgentEvent } from './protocol/message.ts';
import { isErrno } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

const pressureFile = '/proc/pressure/memory';

/** Some task stalled for 150 ms within a second. The kernel overwrites the last byte, hence the newline. */
const trigger = 'some 150000 1000000\n';

/** Tells hyperd when the VM runs short of memory. A kernel without PSI never does. */
export function watchMemoryPressure(sys: Sys, publish: (event: AgentEvent) => void): void {
  const tell = guard(sys, 'a memory pressure event', () => {
    const average = /^some avg10=([\d.]+)/m.exec(sys.readFile(pressureFile));
    publish({
      type: 'event',
      event: 'pressure',
      resource: 'memory',
      someAvg10: Number(average?.[1] ?? '0'),
    });
  });
  try {
    sys.onPriorityEvent(pressureFile, trigger, tell);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
    sys.log('hyperstart: the kernel does not measure memory pressure');
  }
}
