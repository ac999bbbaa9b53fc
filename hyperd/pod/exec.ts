import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { ProcessConfig, StdioStreams } from '../../hyperstart/protocol/message.ts';
import { HyperError } from '../base/error.ts';
import type { Container } from './container.ts';
import type { ExecStartOptions, StdioSession, TerminalSize } from './container-service.ts';
import { requireRun } from './container-state.ts';
import type { PodContext } from './context.ts';
import type { ExecConfig } from './docker-config.ts';
import type { Exec } from './exec-table.ts';
import type { Run } from './run.ts';
import { seccompProgram } from './seccomp/program.ts';
import { selectCapabilities } from './spec/capabilities.ts';
import {
  type ContainerSpec,
  parseWorkingDirectory,
  toContainerSpec,
} from './spec/container-spec.ts';
import { overrideEnvironment } from './spec/environment.ts';
import { toExecFailure } from './start-failure.ts';
import { StdioHub } from './stdio/stdio-hub.ts';

/** Output that a background process still holds open is not waited for any longer than this. */
const drainMs = 2000;

/** Registers an exec; the container must run. */
export function createExec(context: PodContext, container: Container, config: ExecConfig): string {
  requireUnpaused(container);
  if (config.Cmd.length === 0) {
    throw new HyperError('INVALID_ARGUMENT', 'No exec command specified');
  }
  parseWorkingDirectory(config.WorkingDir ?? '');
  overrideEnvironment([], config.Env ?? []);
  const id = randomBytes(32).toString('hex');
  context.execs.add({ id, containerId: container.id, config, state: { status: 'created' } });
  publish(container, { id, config }, 'exec_create');
  return id;
}

/** Starts an exec's process. With `detach` nobody sees its output. */
export async function startExec(
  context: PodContext,
  exec: Exec,
  options: ExecStartOptions,
): Promise<StdioSession | null> {
  const container = context.table.get(exec.containerId);
  if (exec.state.status !== 'created') {
    const tense = exec.state.status === 'exited' ? 'has already run' : 'is already running';
    throw new HyperError('CONFLICT', `Error: Exec command ${exec.id} ${tense}`);
  }
  const run = requireUnpaused(container);
  exec.state = { status: 'starting' };
  const tty = exec.config.Tty ?? options.tty;
  const stdio = new StdioHub({
    tty,
    openStdin: exec.config.AttachStdin ?? false,
    stdinOnce: true,
    onDetach: () => {
      container.publish('exec_detach', { execID: exec.id });
    },
  });
  try {
    const session = options.detach ? null : attachExec(stdio, exec.config);
    await startProcess(context, { exec, container, run, stdio, tty, options });
    return session;
  } catch (thrown) {
    stdio.end();
    const { exitCode, error } = toExecFailure(thrown);
    exec.state = { status: 'exited', exitCode };
    throw error;
  }
}

/** Sets the size of a running exec's terminal. */
export async function resizeExec(
  context: PodContext,
  exec: Exec,
  size: TerminalSize,
): Promise<void> {
  if (exec.state.status !== 'running') {
    throw new HyperError('CONFLICT', `exec ${exec.id} is not running`);
  }
  const container = context.table.get(exec.containerId);
  const run = requireRun(container.id, container.state);
  const ref = { containerId: container.id, execId: exec.id };
  const limit = AbortSignal.timeout(context.deadlines.requestMs);
  await run.machine.agent.request('resize', { ...ref, ...size }, limit);
}

function attachExec(stdio: StdioHub, config: ExecConfig): StdioSession {
  return stdio.attach({
    stdin: config.AttachStdin ?? false,
    stdout: config.AttachStdout ?? false,
    stderr: config.AttachStderr ?? false,
    detachKeys: config.DetachKeys ?? '',
  });
}

interface ExecStart {
  readonly exec: Exec;
  readonly container: Container;
  readonly run: Run;
  readonly stdio: StdioHub;
  readonly tty: boolean;
  readonly options: ExecStartOptions;
}

async function startProcess(context: PodContext, start: ExecStart): Promise<void> {
  const { exec, container, run, stdio } = start;
  const { agent, exits } = run.machine;
  const streams = allocateStreams(start);
  const { stdin, stdout, stderr } = streams;
  const ref = { containerId: container.id, execId: exec.id };
  const exited = exits.expect(ref);
  const params = { ...ref, process: processConfig(context, start, streams) };
  const limit = AbortSignal.timeout(context.deadlines.requestMs);
  try {
    const { pid } = await agent.request('exec', params, limit);
    exec.state = { status: 'running', pid, stdio };
  } catch (thrown) {
    exits.forget(ref);
    throw thrown;
  }
  publish(container, exec, 'exec_start');
  const drained = stdio.run(
    {
      stdin: stdin === null ? null : agent.openWritable(stdin),
      stdout: stdout === null ? null : agent.openReadable(stdout),
      stderr: stderr === null ? null : agent.openReadable(stderr),
    },
    () => Promise.resolve(),
  );
  void exited.then(async (exit) => {
    stdio.relax();
    await Promise.race([drained, delay(drainMs, null, { ref: false })]);
    exec.state = { status: 'exited', exitCode: exit.exitCode };
    stdio.end();
    const exitCode = String(exit.exitCode);
    container.publish('exec_die', { execID: exec.id, exitCode });
    // The guest may forget the streams now; when it is gone itself, all the better.
    await agent
      .request('release', ref, AbortSignal.timeout(context.deadlines.requestMs))
      .catch(() => undefined);
  });
}

function allocateStreams({ exec, run, tty, options }: ExecStart): StdioStreams {
  const { agent } = run.machine;
  const { AttachStdin, AttachStdout, AttachStderr } = exec.config;
  const take = (isWanted: boolean | undefined): number | null =>
    isWanted === true && !options.detach ? agent.allocateStreamId() : null;
  return {
    stdin: take(AttachStdin),
    stdout: take(AttachStdout),
    stderr: tty ? null : take(AttachStderr),
  };
}

function processConfig(
  context: PodContext,
  { exec, container, tty, options }: ExecStart,
  streams: StdioStreams,
): ProcessConfig {
  const { effectiveConfig, hostConfig } = container.record;
  const spec: ContainerSpec = toContainerSpec(effectiveConfig, hostConfig, context.capacity);
  const { config } = exec;
  const privileged = config.Privileged ?? false;
  const capabilities = privileged
    ? selectCapabilities({ add: [], drop: [], privileged })
    : spec.capabilities;
  const [rows = 0, columns = 0] = config.ConsoleSize ?? [];
  const ownSize = rows > 0 && columns > 0 ? { rows, columns } : null;
  const base = tty ? overrideEnvironment(spec.env, ['TERM=xterm']) : spec.env;
  return {
    args: config.Cmd,
    env: overrideEnvironment(base, config.Env ?? []),
    cwd: config.WorkingDir ? config.WorkingDir : spec.cwd,
    user: config.User ? config.User : spec.user,
    additionalGroups: spec.additionalGroups,
    tty,
    consoleSize: tty ? (options.consoleSize ?? ownSize) : null,
    capabilities,
    noNewPrivileges: spec.noNewPrivileges,
    seccompProgram: privileged ? null : seccompProgram({ seccomp: spec.seccomp, capabilities }),
    rlimits: spec.rlimits,
    oomScoreAdj: spec.oomScoreAdj,
    streams,
  };
}

function requireUnpaused(container: Container): Run {
  const run = requireRun(container.id, container.state);
  if (container.state.status === 'paused') {
    throw new HyperError(
      'CONFLICT',
      `Container ${container.id} is paused, unpause the container before exec`,
    );
  }
  return run;
}

function publish(
  container: Container,
  { id, config }: Pick<Exec, 'id' | 'config'>,
  action: string,
): void {
  container.publish(`${action}: ${config.Cmd.join(' ')}`, { execID: id });
}
