import { capabilityMask } from './capabilities.ts';
import { defaultPath, findExecutable } from './executable.ts';
import { readTextInRoot } from './image-file.ts';
import type { ProcessConfig } from './protocol/message.ts';
import { RequestError } from './request-error.ts';
import { resourceLimits } from './rlimits.ts';
import { SpawnError, type SpawnedProcess, type SpawnOptions, type Sys } from './sys/sys.ts';
import { resolveIdentity } from './user.ts';

/** Everything about a process but the place (cgroup, namespaces) where it will run. */
export type ProcessPlan = Omit<SpawnOptions, 'cgroup' | 'init' | 'namespaces'>;

const defaultConsoleSize = { rows: 24, columns: 80 };

/** Resolves user, environment and program of a process by the image in `root`. */
export function planProcess(sys: Sys, root: string, config: ProcessConfig): ProcessPlan {
  const [command] = config.args;
  if (command === undefined) throw new RequestError('INVALID_ARGUMENT', 'no command is given');
  if (!config.cwd.startsWith('/')) {
    throw new RequestError('INVALID_ARGUMENT', `working directory "${config.cwd}" is not absolute`);
  }
  const identity = resolveIdentity(
    {
      passwd: readTextInRoot(sys, root, '/etc/passwd') ?? '',
      group: readTextInRoot(sys, root, '/etc/group') ?? '',
    },
    config.user,
    config.additionalGroups,
  );
  const env = completeEnvironment(config.env, identity.home);
  const searchPath = env.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? defaultPath;
  const capabilities = capabilityMask(config.capabilities);
  return {
    executable: findExecutable(sys, { root, command, searchPath, cwd: config.cwd }),
    args: config.args,
    env,
    cwd: config.cwd,
    uid: identity.uid,
    gid: identity.gid,
    groups: identity.groups,
    capabilitiesLow: capabilities.low,
    capabilitiesHigh: capabilities.high,
    noNewPrivileges: config.noNewPrivileges,
    seccompProgram: config.seccompProgram,
    rlimits: resourceLimits(config.rlimits),
    oomScoreAdj: config.oomScoreAdj,
    terminal: hasTerminal(config) ? (config.consoleSize ?? defaultConsoleSize) : null,
    stdin: config.streams.stdin === null ? 'null' : 'pipe',
    stdout: config.streams.stdout === null ? 'null' : 'pipe',
    stderr: config.streams.stderr === null ? 'null' : 'pipe',
  };
}

/**
 * A terminal whose output nobody takes would stop its process as soon as the buffer is full: without
 * an output stream (a detached exec with a tty) the process gets /dev/null.
 */
function hasTerminal(config: ProcessConfig): boolean {
  return config.tty && config.streams.stdout !== null;
}

/** Adds the HOME and PATH that a process has to have. */
function completeEnvironment(env: readonly string[], home: string): readonly string[] {
  const has = (name: string): boolean => env.some((entry) => entry.startsWith(`${name}=`));
  return [
    ...env,
    ...(has('PATH') ? [] : [`PATH=${defaultPath}`]),
    ...(has('HOME') ? [] : [`HOME=${home}`]),
  ];
}

/** Starts the process; what stopped it on the way is told in Docker's words. */
export function spawnPlanned(sys: Sys, options: SpawnOptions): SpawnedProcess {
  try {
    return sys.spawn(options);
  } catch (error) {
    if (error instanceof SpawnError) throw spawnFailure(error, options);
    throw error;
  }
}

const errorTexts: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  ENOEXEC: 'exec format error',
  E2BIG: 'argument list too long',
  ETXTBSY: 'text file busy',
};

function spawnFailure(error: SpawnError, options: SpawnOptions): RequestError {
  const text = errorTexts[error.errno] ?? error.errno;
  const code = error.errno === 'ENOENT' ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE';
  if (error.step === 'execve') {
    return new RequestError(code, `exec ${options.executable}: ${text}`);
  }
  if (error.step === 'chdir') {
    return new RequestError(code, `chdir to cwd (${JSON.stringify(options.cwd)}) failed: ${text}`);
  }
  return new RequestError('INTERNAL', `starting ${options.executable}: ${error.message}`);
}
