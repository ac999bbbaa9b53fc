import { ContainerNamespaces } from './container-namespaces.ts';
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
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_NO_NEW_PRIVS,
  SECCOMP_SET_MODE_FILTER,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
} from './constants.ts';
import type { Files } from './files.ts';
import { type Kernel, setUint64, struct } from './kernel.ts';
import { errnoNumber } from './errno.ts';
import { windowSize } from './terminal.ts';
import { decodeBase64, encodeText } from './text.ts';
import { type SpawnOptions, SysError } from './sys.ts';

/** Descriptors that the child starts with. */
export interface ChildDescriptors {
  readonly stdio: readonly [number | null, number | null, number | null];
  /** Reports go here. */
  readonly status: number;
  /** Ends when the parent has taken the terminal. */
  readonly go: number;
  /** The parent's, to be closed. */
  readonly parentEnds: readonly number[];
  /** Pidfd of the process whose namespaces are joined, null for new ones. */
  readonly target: number | null;
}

/** Without the PID namespace, which the child was born into. */
const joinedNamespaces = CLONE_NEWNS + CLONE_NEWIPC + CLONE_NEWUTS + CLONE_NEWCGROUP;
const lastCapability = 63;
const EINVAL = 22;

/** What the child does between clone and execve; each step that fails is reported by its name. */
export class ChildSide {
  readonly #kernel: Kernel;
  readonly #files: Files;
  readonly #options: SpawnOptions;
  readonly #descriptors: ChildDescriptors;
  /** What the vectors of execve point to. */
  readonly #words: ArrayBuffer[] = [];
  #step = 'start';

  constructor(kernel: Kernel, files: Files, options: SpawnOptions, descriptors: ChildDescriptors) {
    this.#kernel = kernel;
    this.#files = files;
    this.#options = options;
    this.#descriptors = descriptors;
  }

  /** Ends in execve; returns only when something failed, which is then reported. */
  run(): void {
    try {
      for (const fd of this.#descriptors.parentEnds) this.#kernel.close(fd);
      // Nobody in the container may trace us or reach our descriptors and memory before the execve.
      this.#kernel.call('forbid tracing', 'prctl', PR_SET_DUMPABLE, 0, 0, 0, 0);
      this.#prepare();
      if (this.#descriptors.target === null) this.#becomeContainer();
      else this.#join(this.#descriptors.target);
    } catch (error) {
      const errno = error instanceof SysError ? errnoNumber(error.errno) : EINVAL;
      const detail = error instanceof Error ? error.message : String(error);
      // A system call's own words are the best for the two steps that users cause.
      const isUsual = this.#step === 'execve' || this.#step === 'chdir';
      this.#report({ step: this.#step, errno, ...(isUsual ? {} : { detail }) });
    }
  }

  #becomeContainer(): void {
    const { namespaces } = this.#options;
    if (namespaces.kind !== 'new') return;
    const container = new ContainerNamespaces(this.#kernel, this.#files, namespaces);
    this.#do('namespaces', () => {
      container.enter();
    });
    this.#do('mount', () => {
      container.mountAll();
    });
    const open = (path: string): number => container.openDevice(path);
    const slave = this.#openTerminal(open, (master) => {
      container.bindConsole(master);
    });
    this.#do('sysctl', () => {
      container.applySysctls();
    });
    this.#do('mask paths', () => {
      container.protectPaths();
    });
    this.#do('pivot_root', () => {
      container.pivot();
    });
    this.#execute(slave);
  }

  /** Joins a running container; its mount namespace brings its root along. */
  #join(target: number): void {
    this.#do('join namespaces', () => {
      this.#kernel.call('join its namespaces', 'setns', target, joinedNamespaces);
    });
    const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    const open = (path: string): number =>
      this.#kernel.call(`open ${path}`, 'openat', AT_FDCWD, path, flags, 0);
    this.#execute(this.#openTerminal(open, () => undefined));
  }

  /** What needs the VM's own /proc and /dev. */
  #prepare(): void {
    this.#do('oom_score_adj', () => {
      this.#files.writeFile('/proc/self/oom_score_adj', String(this.#options.oomScoreAdj));
    });
    if (this.#options.terminal !== null) return;
    this.#do('stdio', () => {
      for (const [target, fd] of this.#descriptors.stdio.entries()) {
        const flags = O_RDWR | O_CLOEXEC;
        const source =
          fd ?? this.#kernel.call('open /dev/null', 'openat', AT_FDCWD, '/dev/null', flags, 0);
        this.#kernel.call('connect stdio', 'dup3', source, target, 0);
        // The user must be able to open /dev/stdout again.
        if (fd !== null) this.#kernel.call('chown stdio', 'fchown', target, this.#options.uid, -1);
      }
    });
  }

  /** Opens a pseudo terminal of the container's devpts, hands its master to the parent; returns the slave. */
  #openTerminal(open: (path: string) => number, onMaster: (master: number) => void): number | null {
    const { terminal } = this.#options;
    if (terminal === null) return null;
    return this.#do('terminal', () => {
      const master = open('/dev/pts/ptmx');
      const unlocked = new ArrayBuffer(4);
      this.#kernel.call('unlock the terminal', 'ioctl', master, TIOCSPTLCK, unlocked);
      const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
      const slave = this.#kernel.call('open the terminal', 'ioctl', master, TIOCGPTPEER, flags);
      windowSize(this.#kernel, master, terminal.rows, terminal.columns);
      this.#kernel.call('chown the terminal', 'fchown', slave, this.#options.uid, -1);
      onMaster(master);
      this.#report({ terminal: master });
      this.#kernel.call('await the parent', 'read', this.#descriptors.go, new ArrayBuffer(1), 1);
      return slave;
    });
  }

  #execute(slave: number | null): void {
    const options = this.#options;
    const self = options.init ? this.#openSelf() : null;
    this.#do('session', () => {
      this.#kernel.call('start a session', 'setsid');
      if (slave === null) return;
      for (const target of [0, 1, 2]) this.#kernel.call('connect stdio', 'dup3', slave, target, 0);
      this.#kernel.call('take the terminal', 'ioctl', 0, TIOCSCTTY, 0);
    });
    this.#kernel.native.call('umask', 0o022);
    this.#do('rlimits', () => {
      this.#setLimits();
    });
    // Without no_new_privs the filter needs CAP_SYS_ADMIN, with it it comes last: as runc does.
    if (!options.noNewPrivileges) this.#installSeccomp();
    this.#do('identity', () => {
      this.#becomeUser();
    });
    this.#do('chdir', () => {
      this.#kernel.call('chdir', 'chdir', options.cwd);
    });
    if (options.noNewPrivileges) {
      this.#do('no_new_privs', () => {
        this.#kernel.call('forbid privileges', 'prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      });
      this.#installSeccomp();
    }
    this.#kernel.native.call('close_range', 3, 0xffffffff, CLOSE_RANGE_CLOEXEC);
    this.#do('execve', () => {
      this.#exec(self);
    });
  }

  #exec(self: number | null): void {
    const { executable, args, env } = this.#options;
    if (self === null) {
      this.#kernel.call('execve', 'execve', executable, this.#vector(args), this.#vector(env));
      return;
    }
    const { status } = this.#descriptors;
    this.#kernel.call('keep the report open', 'fcntl', status, F_SETFD, 0);
    const words = this.#vector(['hyper-init', String(status), executable, ...args]);
    this.#kernel.call('execve', 'execveat', self, '', words, this.#vector(env), AT_EMPTY_PATH);
  }

  /** Pointers to C strings, as execve takes them. */
  #vector(words: readonly string[]): ArrayBuffer {
    return struct((words.length + 1) * 8, (view) => {
      for (const [index, word] of words.entries()) {
        if (word.includes('\0')) throw this.#kernel.error('pass a word with a NUL', EINVAL);
        const text = encodeText(`${word}\0`);
        this.#words.push(text);
        setUint64(view, index * 8, this.#kernel.native.addressOf(text));
      }
    });
  }

  /** hyperstart itself, which runs as the container's init; after pivot_root no path leads to it. */
  #openSelf(): number {
    return this.#do('init', () =>
      this.#kernel.call(
        'open the init',
        'openat',
        AT_FDCWD,
        '/proc/self/exe',
        O_RDONLY | O_CLOEXEC,
        0,
      ),
    );
  }

  #setLimits(): void {
    for (const { resource, soft, hard } of this.#options.rlimits) {
      const limit = struct(16, (view) => {
        setUint64(view, 0, soft);
        setUint64(view, 8, hard);
      });
      this.#kernel.call('set a limit', 'prlimit64', 0, resource, limit, null);
    }
  }

  #becomeUser(): void {
    const { uid, gid, groups, capabilitiesLow, capabilitiesHigh } = this.#options;
    const mask = [capabilitiesLow, capabilitiesHigh];
    for (let capability = 0; capability <= lastCapability; capability++) {
      const isKept = ((mask[capability >> 5] ?? 0) >>> (capability & 31)) & 1;
      if (isKept === 1) continue;
      // EINVAL: past the last capability of this kernel.
      if (this.#kernel.native.call('prctl', PR_CAPBSET_DROP, capability, 0, 0, 0) === -EINVAL)
        break;
    }
    const list = struct(Math.max(4, groups.length * 4), (view) => {
      for (const [index, group] of groups.entries()) view.setUint32(index * 4, group, true);
    });
    this.#kernel.call('set groups', 'setgroups', groups.length, list);
    this.#kernel.call('set the group', 'setresgid', gid, gid, gid);
    // Leaving uid 0 clears the permitted and effective sets by itself.
    this.#kernel.call('set the user', 'setresuid', uid, uid, uid);
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
    this.#kernel.call('set capabilities', 'capset', header, sets);
  }

  #installSeccomp(): void {
    const { seccompProgram } = this.#options;
    if (seccompProgram === null) return;
    this.#do('seccomp', () => {
      const filter = decodeBase64(seccompProgram);
      if (filter === null || filter.byteLength % 8 !== 0) {
        throw this.#kernel.error('read the seccomp program', EINVAL);
      }
      const program = struct(16, (view) => {
        view.setUint16(0, filter.byteLength / 8, true);
        setUint64(view, 8, this.#kernel.native.addressOf(filter));
      });
      this.#kernel.call('install seccomp', 'seccomp', SECCOMP_SET_MODE_FILTER, 0, program);
    });
  }

  #do<T>(step: string, action: () => T): T {
    this.#step = step;
    return action();
  }

  #report(report: object): void {
    this.#kernel.writeText(this.#descriptors.status, `${JSON.stringify(report)}\n`);
  }
}
