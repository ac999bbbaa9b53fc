import type { ContainerCgroup } from './cgroup.ts';
import { kernelFile } from './files.ts';
import type { ProcessList } from './protocol/message.ts';
import type { Sys } from './sys/sys.ts';

/** Command lines are cut: a container can make them as long as it likes, an answer is one message. */
const maxCommandLength = 4096;

/** USER_HZ is 100 on every architecture that we boot. */
const msPerTick = 10;

/** The processes of a container as the VM's root PID namespace sees them. */
export function listProcesses(sys: Sys, group: ContainerCgroup): ProcessList {
  const bootTime = /^btime (\d+)$/m.exec(kernelFile(sys, '/proc/stat') ?? '');
  const bootUnixMs = Number(bootTime?.[1] ?? '0') * 1000;
  return {
    processes: group.processIds().flatMap((pid) => {
      const process = readProcess(sys, pid, bootUnixMs);
      return process === null ? [] : [process];
    }),
  };
}

/** null when the process has ended meanwhile. */
function readProcess(
  sys: Sys,
  pid: number,
  bootUnixMs: number,
): ProcessList['processes'][number] | null {
  const directory = `/proc/${String(pid)}`;
  const stat = kernelFile(sys, `${directory}/stat`);
  const status = kernelFile(sys, `${directory}/status`);
  const commandLine = kernelFile(sys, `${directory}/cmdline`);
  if (stat === null || status === null || commandLine === null) return null;
  // The name stands in parentheses and may itself hold spaces and parentheses.
  const nameEnd = stat.lastIndexOf(')');
  const name = stat.slice(stat.indexOf('(') + 1, nameEnd);
  const fields = stat.slice(nameEnd + 2).split(' ');
  const at = (number: number): number => Number(fields[number - 3] ?? '0');
  const words = commandLine.split('\0').filter((word) => word !== '');
  return {
    pid,
    parentPid: at(4),
    uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? '0'),
    command: (words.length === 0 ? `[${name}]` : words.join(' ')).slice(0, maxCommandLength),
    cpuMs: (at(14) + at(15)) * msPerTick,
    startedUnixMs: bootUnixMs + at(22) * msPerTick,
  };
}
