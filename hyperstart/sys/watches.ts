import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, O_CLOEXEC } from './constants.ts';
import { type Kernel, struct } from './kernel.ts';

type Callback = (events: number) => void;

/** struct epoll_event, which x86-64 packs: u32 events, u64 data; ours is the descriptor. */
const eventBytes = 12;

/** Callbacks for descriptors: an epoll set of our own within that of the C module. */
export class Watches {
  readonly #kernel: Kernel;
  readonly #callbacks = new Map<number, Callback>();
  readonly #event = new ArrayBuffer(eventBytes);
  #openSet: number | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get #set(): number {
    this.#openSet ??= this.#open();
    return this.#openSet;
  }

  #open(): number {
    const set = this.#kernel.call('make an epoll set', 'epoll_create1', O_CLOEXEC);
    const listening = this.#kernel.native.listen(set, () => {
      this.#dispatch();
    });
    this.#kernel.check('listen to the epoll set', listening);
    return set;
  }

  /** Calls back while the descriptor has one of these epoll events. */
  add(operation: string, fd: number, events: number, callback: Callback): void {
    const event = struct(eventBytes, (view) => {
      view.setUint32(0, events, true);
      view.setInt32(4, fd, true);
    });
    this.#kernel.call(operation, 'epoll_ctl', this.#set, EPOLL_CTL_ADD, fd, event);
    this.#callbacks.set(fd, callback);
  }

  /** Ends a watch and closes its descriptor. */
  end(fd: number): void {
    this.#callbacks.delete(fd);
    this.#kernel.try('epoll_ctl', this.#set, EPOLL_CTL_DEL, fd, null);
    this.#kernel.close(fd);
  }

  /** One event at a time: a second one might belong to a descriptor that the first one's callback closes. */
  #dispatch(): void {
    if (this.#kernel.try('epoll_pwait', this.#set, this.#event, 1, 0, null, 8) !== 1) return;
    const view = new DataView(this.#event);
    this.#callbacks.get(view.getInt32(4, true))?.(view.getUint32(0, true));
  }
}
