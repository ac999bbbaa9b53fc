import { createReadStream } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';

import { ApiClient } from '../hyper-cli/api-client.ts';
import { defaultHost } from '../hyper-cli/host.ts';
import { spawnProcess } from '../hyperd/base/subprocess.ts';
import { buildDemoImage } from '../images/build.ts';
import { artifactFlags, ensureArtifacts } from './artifacts.ts';
import { buildCliBundle } from './cli-bundle.ts';
import { cacheDirectory, root } from './paths.ts';
import { step } from './progress.ts';

/**
 * `npm start`: the main job from nothing. Builds what is missing, starts hyperd when none answers,
 * loads a demo image, runs a container in a VM of its own and tells what it ran in.
 */
const host = process.env['HYPER_HOST'] ?? defaultHost;
const api = new ApiClient(host);
const stateDirectory = '/var/lib/hyper';
const startDeadlineMs = 30_000;

const artifacts = await ensureArtifacts();
await buildCliBundle();
const archive = await buildDemoImage('busybox', { cacheDirectory, onProgress: step });
await ensureDaemon();
await load(archive);
await demonstrate();

async function ensureDaemon(): Promise<void> {
  if (await answers()) {
    step(`hyperd answers at ${host}`);
    return;
  }
  await mkdir(stateDirectory, { recursive: true });
  const logFile = path.join(stateDirectory, 'hyperd.log');
  await using log = await open(logFile, 'a');
  const flags = [...artifactFlags(artifacts), '--host', host];
  const hyperd = spawnProcess(process.execPath, [`${root}hyperd/main.ts`, ...flags], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const deadline = Date.now() + startDeadlineMs;
  while (!(await answers())) {
    if (hyperd.exitCode !== null || Date.now() > deadline) {
      const tail = (await readFile(logFile, 'utf8')).split('\n').slice(-10).join('\n');
      throw new Error(`hyperd does not answer at ${host}; the end of ${logFile}:\n${tail}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  hyperd.unref();
  step(`hyperd started (process ${String(hyperd.pid)}, log in ${logFile}, stop it with kill)`);
}

async function answers(): Promise<boolean> {
  try {
    (await api.open('GET', '/_ping')).resume();
    return true;
  } catch {
    return false;
  }
}

async function load(file: string): Promise<void> {
  const messages = api.lines<{ stream?: string; error?: string }>('POST', '/images/load', {
    upload: createReadStream(file),
    headers: { 'Content-Type': 'application/x-tar' },
  });
  for await (const { stream, error } of messages) {
    if (error !== undefined) throw new Error(`loading ${file}: ${error}`);
    step((stream ?? '').trim());
  }
}

async function demonstrate(): Promise<void> {
  step('running a container in a VM of its own: busybox uname -a');
  const { Id } = await api.json<{ Id: string }>('POST', '/containers/create', {
    body: { Image: 'busybox', Cmd: ['sh', '-c', 'uname -a; sleep 2'] },
  });
  try {
    const startedAt = performance.now();
    await api.open('POST', `/containers/${Id}/start`);
    const startMs = performance.now() - startedAt;
    const vms = await api.json<readonly Vm[]>('GET', '/hyper/vms');
    const vm = vms.find((candidate) => candidate.ContainerId === Id);
    const memory = vm === undefined ? null : await hostMemoryMiB(vm.Pid);
    await api.json('POST', `/containers/${Id}/wait`);
    const logs = await api.open('GET', `/containers/${Id}/logs`, { query: { stdout: 1 } });
    const output = Buffer.concat((await logs.toArray()) as Buffer[])
      .subarray(8)
      .toString();
    const [host_] = (await readFile('/proc/version', 'utf8')).split(' (');
    report({ output, hostKernel: host_ ?? '', vm, memory, startMs });
  } finally {
    await api.open('DELETE', `/containers/${Id}`, { query: { force: true } });
  }
}

interface Vm {
  readonly ContainerId: string;
  readonly Pid: number;
  readonly Hypervisor: string;
  readonly MemoryMiB: number;
  readonly Vcpus: number;
  readonly Timeline: Readonly<Record<string, number>>;
}

interface Demonstration {
  readonly output: string;
  readonly hostKernel: string;
  readonly vm: Vm | undefined;
  readonly memory: number | null;
  readonly startMs: number;
}

function report({ output, hostKernel, vm, memory, startMs }: Demonstration): void {
  const lines = [
    '',
    `  the container says   ${output.trim()}`,
    `  the host is          ${hostKernel}`,
    `  start took           ${startMs.toFixed(0)} ms`,
  ];
  if (vm !== undefined) {
    const { Hypervisor, Vcpus, MemoryMiB, Timeline } = vm;
    lines.push(
      `  its VM               ${Hypervisor}, ${String(Vcpus)} vCPU, ${String(MemoryMiB)} MiB (uses ${String(memory)} MiB of the host)`,
      '  of which             milliseconds by phase, one after the other',
      ...Object.entries(Timeline).map(
        ([phase, ms]) => `    ${phase.padEnd(18)} ${ms.toFixed(1).padStart(8)}`,
      ),
    );
  }
  lines.push(
    '',
    'Use it with the docker CLI:',
    '',
    `  export DOCKER_HOST=${host}`,
    '  docker run -it --rm busybox sh',
    '',
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Proportional set size of a process: what it really costs. */
async function hostMemoryMiB(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
  return Math.round(Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]) / 1024);
}
