import {
  type CallPlan,
  keptDescriptors,
  type KeptName,
  type PlanParts,
  type SystemCall,
} from './call-plan.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWUTS,
  CLOSE_RANGE_CLOEXEC,
  F_SETFD,
  LINUX_CAPABILITY_VERSION_3,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_NO_NEW_PRIVS,
  SECCOMP_SET_MODE_FILTER,
  SIG_SETMASK,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
} from './constants.ts';
import { ContainerNamespaces } from './container-namespaces.ts';
import type { Files } from './files.ts';
import { type Kernel, setUint64, struct } from './kernel.ts';
import type { KernelCapabilities } from './kernel-capabilities.ts';
import type { SeccompPrograms } from './seccomp-programs.ts';
import { SpawnError, type SpawnOptions } from './sys.ts';
import { windowSizeOf } from './terminal.ts';
import { encodeWords, pointers } from './text.ts';

/** What planning takes. */
export interface ChildParts {
  readonly kernel: Kernel;
  readonly files: Files;
  readonly plan: CallPlan;
  readonly parts: PlanParts;
  readonly seccomp: SeccompPrograms;
  readonly capabilities: KernelCapabilities;
}

/** Descriptors that the child starts with. */
export interface ChildDescriptors {
  readonly stdio: readonly [number | null, number | null, number | null];
  /** Reports go here; it closes on exec. */
  readonly status: number;
  /** Ends when the parent has taken the terminal; null without one. */
  readonly go: number | null;
  /** The parent's, to be closed. */
  readonly parentEnds: readonly number[];
  /** Pidfd of the process whose namespaces are joined, null for new ones. */
  readonly target: number | null;
}

/** What a report has in place of a call's number when the terminal is ready to be taken. */
export const terminalReady = -3;

/** Without the PID namespace, which the child was born into. */
const joinedNamespaces = CLONE_NEWNS + CLONE_NEWIPC + CLONE_NEWUTS + CLONE_NEWCGROUP;
const signalSetBytes = 8;

/** Plans what a child does between clone and execve. */
export class ChildSide {
  readonly #kernel: Kernel;
  readonly #files: Files;
  readonly #plan: CallPlan;
  readonly #parts: PlanParts;
  readonly #seccomp: SeccompPrograms;
  readonly #capabilities: KernelCapabilities;
  readonly #options: SpawnOptions;
  readonly #descriptors: ChildDescriptors;

  constructor(parts: ChildParts, options: SpawnOptions, descriptors: ChildDescriptors) {
    this.#kernel = parts.kernel;
    this.#files = parts.files;
    this.#plan = parts.plan;
    this.#parts = parts.parts;
    this.#seccomp = parts.seccomp;
    this.#capabilities = parts.capabilities;
    this.#options = options;
    this.#descriptors = descriptors;
  }

  planAll(): void {
    const { target, parentEnds } = this.#descriptors;
    for (const fd of parentEnds) this.#add('close', ['close', fd]);
    // Nobody in the container may trace us or reach our descriptors and memory before the execve.
    this.#add('forbid tracing', ['prctl', PR_SET_DUMPABLE, 0, 0, 0, 0]);
    const none = new ArrayBuffer(signalSetBytes);
    this.#add('unblock signals', ['rt_sigprocmask', SIG_SETMASK, none, null, signalSetBytes]);
    this.#prepare();
    if (target === null) this.#becomeContainer();
    else this.#join(target);
    this.#execute();
  }

  #becomeContainer(): void {
    const { namespaces } = this.#options;
    if (namespaces.kind !== 'new') return;
    const shared = { files: this.#files, parts: this.#parts };
    const container = new ContainerNamespaces(this.#plan, shared, namespaces);
    this.#plan.begin('namespaces');
    container.enter();
    this.#plan.begin('mount');
    container.mountAll();
    if (this.#options.terminal !== null) {
      this.#plan.begin('terminal');
      container.openDevice('/dev/pts/ptmx', 'terminal');
      this.#openSlave();
      container.bindConsole();
      this.#handOverTerminal();
    }
    this.#plan.begin('sysctl');
    container.applySysctls();
    container.protectPaths();
    this.#plan.begin('pivot_root');
    container.pivot();
  }

  /** Joins a running container; its mount namespace brings its root along. */
  #join(target: number): void {
    this.#plan.begin('join namespaces');
    this.#add('join its namespaces', ['setns', target, joinedNamespaces]);
    if (this.#options.terminal === null) return;
    this.#plan.begin('terminal');
    this.#open('/dev/pts/ptmx', O_RDWR | O_NOCTTY, 'terminal');
    this.#openSlave();
    this.#handOverTerminal();
  }

  /** What needs the VM's own /proc and /dev. */
  #prepare(): void {
    this.#plan.begin('oom_score_adj');
    this.#open('/proc/self/oom_score_adj', O_WRONLY, 'file');
    this.#plan.write('write it', 'file', String(this.#options.oomScoreAdj));
    if (this.#options.terminal !== null) return;
    this.#plan.begin('stdio');
    for (const [target, fd] of this.#descriptors.stdio.entries()) {
      if (fd === null) this.#open('/dev/null', O_RDWR, 'file');
      this.#add('connect stdio', ['dup3', fd ?? keptDescriptors.file, target, 0]);
      // The user must be able to open /dev/stdout again.
      if (fd !== null) this.#add('chown stdio', ['fchown', target, this.#options.uid, -1]);
    }
  }

  /** The other end of the terminal that was opened, ready for use. */
  #openSlave(): void {
    const { terminal, uid } = this.#options;
    if (terminal === null) return;
    const master = keptDescriptors.terminal;
    this.#add('unlock the terminal', ['ioctl', master, TIOCSPTLCK, new ArrayBuffer(4)]);
    const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    const open: SystemCall = ['ioctl', master, TIOCGPTPEER, flags];
    this.#add('open the terminal', open);
    this.#plan.keep('slave');
    this.#add('resize the terminal', windowSizeOf(master, terminal.rows, terminal.columns));
    this.#add('chown the terminal', ['fchown', keptDescriptors.slave, uid, -1]);
  }

  /** Waits until the parent has taken the master. */
  #handOverTerminal(): void {
    const { status, go } = this.#descriptors;
    const report = struct(8, (view) => {
      view.setInt32(0, terminalReady, true);
    });
    this.#add('report the terminal', ['write', status, report, report.byteLength]);
    if (go !== null) this.#add('await the parent', ['read', go, new ArrayBuffer(1), 1]);
  }

  #execute(): void {
    const options = this.#options;
    if (options.init) {
      // After pivot_root no other path leads to hyperstart, which runs as the container's init.
      this.#plan.begin('init');
      this.#open('/proc/self/exe', O_RDONLY, 'file');
    }
    this.#plan.begin('session');
    this.#startSession();
    this.#plan.begin('rlimits');
    this.#setLimits();
    // Without no_new_privs the filter needs CAP_SYS_ADMIN, with it it comes last: as runc does.
    if (!options.noNewPrivileges) this.#installSeccomp();
    this.#plan.begin('identity');
    this.#becomeUser();
    this.#plan.begin('chdir');
    this.#add('chdir', ['chdir', options.cwd]);
    if (options.noNewPrivileges) {
      this.#plan.begin('no_new_privs');
      this.#add('forbid privileges', ['prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
      this.#installSeccomp();
    }
    this.#plan.begin('execve');
    this.#exec();
  }

  #startSession(): void {
    this.#add('start a session', ['setsid']);
    this.#add('set the umask', ['umask', 0o022]);
    if (this.#options.terminal === null) return;
    for (const target of [0, 1, 2]) {
      this.#add('connect stdio', ['dup3', keptDescriptors.slave, target, 0]);
    }
    this.#add('take the terminal', ['ioctl', 0, TIOCSCTTY, 0]);
  }

  #exec(): void {
    const { executable, args, env, init } = this.#options;
    const { status } = this.#descriptors;
    this.#add('close all on exec', ['close_range', 3, 0xffffffff, CLOSE_RANGE_CLOEXEC]);
    const environment = this.#vector(env);
    if (!init) {
      this.#add('execve', ['execve', executable, this.#vector(args), environment]);
      return;
    }
    this.#add('keep the report open', ['fcntl', status, F_SETFD, 0]);
    const words = this.#vector(['hyper-init', String(status), executable, ...args]);
    const self = keptDescriptors.file;
    this.#add('execve', ['execveat', self, '', words, environment, AT_EMPTY_PATH]);
  }

  /** Pointers to C strings, as execve takes them. */
  #vector(words: readonly string[]): ArrayBuffer {
    const { native } = this.#kernel;
    const { bytes, addresses } = encodeWords(native, words);
    if (addresses.length !== words.length) {
      throw new SpawnError('execve', 'EINVAL', 'a word has a NUL in it');
    }
    this.#plan.hold(bytes);
    return pointers(addresses);
  }

  #setLimits(): void {
    for (const { resource, soft, hard } of this.#options.rlimits) {
      const limit = struct(16, (view) => {
        setUint64(view, 0, soft);
        setUint64(view, 8, hard);
      });
      this.#add('set a limit', ['prlimit64', 0, resource, limit, null]);
    }
  }

  #becomeUser(): void {
    const { uid, gid, groups, capabilitiesLow, capabilitiesHigh } = this.#options;
    const mask = [capabilitiesLow, capabilitiesHigh];
    this.#dropCapabilities(mask);
    const list = struct(Math.max(4, groups.length * 4), (view) => {
      for (const [index, group] of groups.entries()) view.setUint32(index * 4, group, true);
    });
    this.#add('set groups', ['setgroups', groups.length, list]);
    this.#add('set the group', ['setresgid', gid, gid, gid]);
    // Leaving uid 0 clears the permitted and effective sets by itself.
    this.#add('set the user', ['setresuid', uid, uid, uid]);
    const header = struct(8, (view) => {
      view.setUint32(0, LINUX_CAPABILITY_VERSION_3, true);
    });
    const sets = struct(24, (view) => {
      for (const [index, half] of mask.entries()) {
        const own = uid === 0 ? half : 0;
        view.setUint32(index * 12, own, true);
        view.setUint32(index * 12 + 4, own, true);
      }
    });
    this.#add('set capabilities', ['capset', header, sets]);
  }

  /** From the bounding set: those that are not in the mask. */
  #dropCapabilities(mask: readonly number[]): void {
    const part = this.#parts.get('identity', mask.join(), (plan) => {
      const last = this.#capabilities.last();
      for (let capability = 0; capability <= last; capability++) {
        const isKept = ((mask[capability >> 5] ?? 0) >>> (capability & 31)) & 1;
        if (isKept === 1) continue;
        plan.add('drop a capability', ['prctl', PR_CAPBSET_DROP, capability, 0, 0, 0]);
      }
    });
    this.#plan.include(part);
  }

  #installSeccomp(): void {
    const { seccompProgram } = this.#options;
    if (seccompProgram === null) return;
    this.#plan.begin('seccomp');
    const filter = this.#seccomp.decode(seccompProgram);
    if (filter === null) {
      throw new SpawnError('seccomp', 'EINVAL', 'the program cannot be read');
    }
    const program = struct(16, (view) => {
      view.setUint16(0, filter.byteLength / 8, true);
      setUint64(view, 8, this.#kernel.native.addressOf(filter));
    });
    this.#plan.hold(filter);
    this.#add('install seccomp', ['seccomp', SECCOMP_SET_MODE_FILTER, 0, program]);
  }

  #add(operation: string, call: SystemCall): void {
    this.#plan.add(operation, call);
  }

  #open(path: string, flags: number, as: KeptName): void {
    this.#add('open', ['openat', AT_FDCWD, path, flags | O_CLOEXEC, 0]);
    this.#plan.keep(as);
  }
}
