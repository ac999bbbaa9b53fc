import {
  type CallPlan,
  errnoMask,
  keptDescriptors,
  type KeptName,
  pathOf,
  type PlanParts,
  type SystemCall,
} from './call-plan.ts';
import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  S_IFDIR,
  S_IFMT,
} from './constants.ts';
import { EEXIST, ENOENT, ENOTDIR } from './errno.ts';
import type { Files } from './files.ts';
import { setUint64, struct } from './kernel.ts';
import type { MountOptions, NewNamespaces } from './sys.ts';

const remountable = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
const howBytes = 24;

const missing = errnoMask(ENOENT);
const notThere = errnoMask(ENOENT, ENOTDIR);
const present = errnoMask(EEXIST);
const isDirectory = errnoMask(ENOTDIR);

/** struct open_how for a path that must not lead out of the root. */
const howInRoot = struct(howBytes, (view) => {
  setUint64(view, 0, O_PATH | O_CLOEXEC);
  setUint64(view, 16, RESOLVE_IN_ROOT);
});

/** Plans the inside of a container: calls of a child whose namespaces are new. */
export class ContainerNamespaces {
  readonly #plan: CallPlan;
  readonly #files: Files;
  readonly #parts: PlanParts;
  readonly #options: NewNamespaces;

  constructor(
    plan: CallPlan,
    { files, parts }: { readonly files: Files; readonly parts: PlanParts },
    options: NewNamespaces,
  ) {
    this.#plan = plan;
    this.#files = files;
    this.#parts = parts;
    this.#options = options;
  }

  enter(): void {
    const { hostname, domainname, cgroupNamespace, root } = this.#options;
    // clone3 would take our parent's cgroup as the root; unsharing takes the one we are in.
    if (cgroupNamespace) this.#add('unshare cgroups', ['unshare', CLONE_NEWCGROUP]);
    this.#add('make mounts private', ['mount', null, '/', null, MS_REC | MS_PRIVATE, null]);
    this.#add('set the hostname', ['sethostname', hostname, hostname.length]);
    this.#add('set the domainname', ['setdomainname', domainname, domainname.length]);
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    this.#add('open the root', ['openat', AT_FDCWD, root, flags, 0]);
    this.#plan.keep('root');
  }

  mountAll(): void {
    for (const mount of this.#options.mounts) {
      // What is bound is each container's own, and has to be looked at.
      if ((mount.flags & MS_BIND) !== 0) this.#mount(mount);
      else {
        const { source, target, type, flags, data } = mount;
        this.#include('mount', [source, target, type, String(flags), data], (inside) => {
          inside.#mount(mount);
        });
      }
    }
  }

  /** Opens a device node inside the root. */
  openDevice(path: string, as: KeptName): void {
    this.#open(path);
    const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    this.#add('open', ['openat', AT_FDCWD, pathOf('opened'), flags, 0]);
    this.#plan.keep(as);
  }

  /** Lets /dev/console be the container's terminal, the first one of its devpts. */
  bindConsole(): void {
    this.#open('/dev/pts/0');
    this.#open('/dev/console', 'file');
    this.#bind(pathOf('opened'), 'file');
  }

  applySysctls(): void {
    for (const [name, value] of this.#options.sysctls) {
      const path = `/proc/sys/${name.split('.').join('/')}`;
      this.#add('open', ['openat', AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0]);
      this.#plan.keep('file');
      this.#plan.write('write', 'file', value);
    }
  }

  protectPaths(): void {
    const { maskedPaths, readonlyPaths } = this.#options;
    this.#include('mask paths', [...maskedPaths, '', ...readonlyPaths], (inside) => {
      for (const path of maskedPaths) inside.#mask(path);
      for (const path of readonlyPaths) inside.#makeReadOnly(path);
    });
  }

  /** The prepared root becomes /; the VM's root is gone from here. */
  pivot(): void {
    this.#add('enter the root', ['chdir', this.#options.root]);
    this.#add('pivot_root', ['pivot_root', '.', '.']);
    this.#add('leave the old root', ['umount2', '.', MNT_DETACH]);
    this.#add('enter the new root', ['chdir', '/']);
    if (!this.#options.readOnlyRoot) return;
    const flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    this.#add('make the root read-only', ['mount', null, '/', null, flags, null]);
  }

  /** Plans a part, unless it is known. */
  #include(
    step: string,
    dependsOn: readonly string[],
    make: (inside: ContainerNamespaces) => void,
  ): void {
    const part = this.#parts.get(step, dependsOn.join('\0'), (plan) => {
      const shared = { files: this.#files, parts: this.#parts };
      make(new ContainerNamespaces(plan, shared, this.#options));
    });
    this.#plan.include(part);
  }

  #mount({ source, target, type, flags, data }: MountOptions): void {
    const isBind = (flags & MS_BIND) !== 0;
    this.#openOrCreate(target, isBind && !this.#isDirectory(source));
    if (isBind) this.#bind(source, 'opened');
    else {
      const options = data === '' ? null : data;
      this.#add('mount', ['mount', source, pathOf('opened'), type, flags, options]);
    }
    const extra = flags & remountable;
    if (!isBind || extra === 0) return;
    // Opened anew: now the path leads to what was just mounted.
    this.#open(target);
    this.#remount(extra);
  }

  /** Hides a file behind /dev/null, a directory behind an empty one. */
  #mask(path: string): void {
    this.#ifThere(path, () => {
      const target = pathOf('opened');
      const overFile: SystemCall = ['mount', '/dev/null', target, null, MS_BIND, null];
      this.#plan.orElse('mask', overFile, { tolerates: isDirectory }, () => {
        this.#add('mask', ['mount', 'tmpfs', target, 'tmpfs', remountable, 'size=0k']);
      });
    });
  }

  #makeReadOnly(path: string): void {
    this.#ifThere(path, () => {
      const target = pathOf('opened');
      this.#add('bind', ['mount', target, target, null, MS_BIND | MS_REC, null]);
      // Opened anew: the path now leads to the bind mount.
      this.#open(path);
      this.#remount(remountable);
    });
  }

  #add(operation: string, call: SystemCall): void {
    this.#plan.add(operation, call);
  }

  #bind(source: string, target: KeptName): void {
    this.#add('bind', ['mount', source, pathOf(target), null, MS_BIND, null]);
  }

  #remount(flags: number): void {
    const all = MS_REMOUNT | MS_BIND | flags;
    this.#add('remount', ['mount', null, pathOf('opened'), null, all, null]);
  }

  #open(path: string, as: KeptName = 'opened'): void {
    this.#add('open in the root', openInRoot(path));
    this.#plan.keep(as);
  }

  #ifThere(path: string, group: () => void): void {
    this.#plan.unless('open in the root', openInRoot(path), { tolerates: notThere }, () => {
      this.#plan.keep('opened');
      group();
    });
  }

  /** Walks down, making what is missing; every step is resolved from the root again, so no link escapes. */
  #openOrCreate(path: string, isFile: boolean): void {
    this.#plan.orElse('open in the root', openInRoot(path), { tolerates: missing }, () => {
      const words = path.split('/').filter((word) => word !== '');
      let walked = '/';
      for (const [index, word] of words.entries()) {
        this.#open(walked);
        this.#create(word, isFile && index === words.length - 1);
        walked += `${index === 0 ? '' : '/'}${word}`;
      }
      this.#add('open in the root', openInRoot(path));
    });
    this.#plan.keep('opened');
  }

  /** Makes an entry of the opened directory, unless it is there. */
  #create(word: string, isFile: boolean): void {
    const parent = keptDescriptors.opened;
    // For reading: a mount with a descriptor for writing on it could not become read-only.
    const flags = O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const call: SystemCall = isFile
      ? ['openat', parent, word, flags, 0o644]
      : ['mkdirat', parent, word, 0o755];
    this.#plan.add('create', call, { tolerates: present });
  }

  /** Whether a source, which is the VM's own, is one. */
  #isDirectory(path: string): boolean {
    const status = this.#files.targetStatus(path);
    return status !== null && (status.mode & S_IFMT) === S_IFDIR;
  }
}

function openInRoot(path: string): SystemCall {
  return ['openat2', keptDescriptors.root, path, howInRoot, howBytes];
}
