import {
  AF_NETLINK,
  AT_FDCWD,
  CLOCK_MONOTONIC,
  EPOLLERR,
  EPOLLIN,
  EPOLLPRI,
  NETLINK_KOBJECT_UEVENT,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  SIGCHLD,
  SOCK_DGRAM,
  WNOHANG,
} from './constants.ts';
import { type Kernel, setUint64, struct } from './kernel.ts';
import type { ChildExit } from './sys.ts';
import { Watches } from './watches.ts';

const ueventBytes = 8192;
/** Some CPU time passes anyway; a timer of zero would disarm. */
const shortestTimerMs = 0.001;

/** The part of Sys that calls back: children, uevents, priority events, timers. */
export class Events {
  readonly #kernel: Kernel;
  readonly #watches: Watches;
  readonly #childListeners: ((exit: ChildExit) => void)[] = [];
  readonly #ueventListeners: ((uevent: string) => void)[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#watches = new Watches(kernel);
  }

  onChildExit(callback: (exit: ChildExit) => void): void {
    this.#childListeners.push(callback);
    if (this.#childListeners.length > 1) {
      return;
    }
    this.onSignal(SIGCHLD, () => {
      this.#reap();
    });
    // Whoever ended before now has raised its signal already.
    this.#reap();
  }

  /** Calls back after a signal, which must be blocked. */
  onSignal(signal: number, callback: () => void): void {
    const mask = struct(8, (view) => {
      setUint64(view, 0, 2 ** (signal - 1));
    });
    const operation = `listen to signal ${String(signal)}`;
    const fd = this.#kernel.call(operation, 'signalfd4', -1, mask, 8, O_CLOEXEC | O_NONBLOCK);
    const info = new ArrayBuffer(128);
    this.#watches.add(operation, fd, EPOLLIN, () => {
      this.#kernel.try('read', fd, info, 128);
      callback();
    });
  }

  onUevent(callback: (uevent: string) => void): void {
    this.#ueventListeners.push(callback);
    if (this.#ueventListeners.length > 1) {
      return;
    }
    const operation = 'listen to uevents';
    const type = SOCK_DGRAM | O_CLOEXEC | O_NONBLOCK;
    const fd = this.#kernel.call(operation, 'socket', AF_NETLINK, type, NETLINK_KOBJECT_UEVENT);
    const address = struct(12, (view) => {
      view.setUint16(0, AF_NETLINK, true);
      view.setUint32(8, 1, true);
    });
    this.#kernel.call(operation, 'bind', fd, address, 12);
    const buffer = new ArrayBuffer(ueventBytes);
    this.#watches.add(operation, fd, EPOLLIN, () => {
      this.#readUevents(fd, buffer);
    });
  }

  onPriorityEvent(path: string, trigger: string | null, callback: () => void): () => void {
    const operation = `watch ${path}`;
    const flags = (trigger === null ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    const fd = this.#kernel.call(operation, 'openat', AT_FDCWD, path, flags, 0);
    const buffer = new ArrayBuffer(256);
    // A kernfs file reports the next change only after this descriptor has read the last one.
    const rearm = (): boolean =>
      trigger !== null || this.#kernel.try('pread64', fd, buffer, 256, 0) >= 0;
    let stopped = false;
    const stop = (): void => {
      if (!stopped) {
        stopped = true;
        this.#watches.end(fd);
      }
    };
    try {
      if (trigger !== null) {
        this.#kernel.check(operation, this.#kernel.writeText(fd, trigger));
      }
      rearm();
      this.#watches.add(operation, fd, EPOLLPRI, (events) => {
        // The cgroup is gone, or the trigger is: the descriptor would report that for ever.
        if (!rearm() || (trigger !== null && (events & EPOLLERR) !== 0)) {
          stop();
        } else {
          callback();
        }
      });
    } catch (error) {
      this.#kernel.close(fd);
      throw error;
    }
    return stop;
  }

  setTimer(milliseconds: number, callback: () => void): void {
    const operation = 'set a timer';
    const flags = O_CLOEXEC | O_NONBLOCK;
    const fd = this.#kernel.call(operation, 'timerfd_create', CLOCK_MONOTONIC, flags);
    const delay = Math.max(milliseconds, shortestTimerMs);
    const setting = struct(32, (view) => {
      setUint64(view, 16, Math.floor(delay / 1000));
      setUint64(view, 24, Math.round((delay % 1000) * 1e6));
    });
    this.#kernel.call(operation, 'timerfd_settime', fd, 0, setting, null);
    this.#watches.add(operation, fd, EPOLLIN, () => {
      this.#watches.end(fd);
      callback();
    });
  }

  #reap(): void {
    const status = new ArrayBuffer(4);
    for (;;) {
      const pid = this.#kernel.try('wait4', -1, status, WNOHANG, null);
      if (pid <= 0) {
        return;
      }
      const exit = childExit(pid, new DataView(status).getInt32(0, true));
      for (const listener of this.#childListeners) {
        listener(exit);
      }
    }
  }

  #readUevents(fd: number, buffer: ArrayBuffer): void {
    for (;;) {
      const length = this.#kernel.try('recvfrom', fd, buffer, ueventBytes, 0, null, null);
      if (length < 0) {
        return;
      }
      const text = this.#kernel.native.decodeText(buffer, 0, length).split('\0').join('\n');
      for (const listener of this.#ueventListeners) {
        listener(text);
      }
    }
  }
}

/** Takes a wait status apart. */
function childExit(pid: number, status: number): ChildExit {
  const signal = status & 0x7f;
  return signal === 0
    ? { pid, exitCode: (status >> 8) & 0xff, signal: null }
    : { pid, exitCode: null, signal };
}
