import {
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  F_SETOWN,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SIGIO,
} from './constants.ts';
import type { Events } from './events.ts';
import type { Files } from './files.ts';
import type { Kernel } from './kernel.ts';
import { mapSharedMemory } from './shared-memory.ts';
import type { Channel, ChannelHandlers } from './sys.ts';

const ownPid = 1;
const portsDirectory = '/sys/class/virtio-ports';

export interface PortChannelParts {
  readonly kernel: Kernel;
  readonly files: Files;
  readonly events: Events;
  /** Descriptors that stay the caller's: the pump gets a duplicate. */
  readonly terminals: ReadonlySet<number>;
}

/** The Channel over a virtio-serial port, which may appear later than we do. */
export class PortChannel implements Channel {
  readonly #parts: PortChannelParts;
  #isAttached = false;
  #sharedMemory: number | null = null;

  constructor(parts: PortChannelParts, portName: string, handlers: ChannelHandlers) {
    this.#parts = parts;
    const { native } = parts.kernel;
    native.channelOpen(
      handlers.onSession,
      handlers.onMessage,
      handlers.onDisconnect,
      handlers.onStreamDrained,
      handlers.onProtocolError,
    );
    // Listening comes first: a port between the look and the listening would be missed.
    parts.events.onUevent((uevent) => {
      if (uevent.includes('/virtio-ports/')) {
        this.#attach(portName);
      }
    });
    this.#attach(portName);
  }

  accept(helloText: string, hasSharedMemory: boolean): void {
    const { kernel } = this.#parts;
    if (hasSharedMemory) this.#sharedMemory ??= mapSharedMemory(kernel);
    kernel.native.channelAccept(hasSharedMemory ? (this.#sharedMemory ?? 0) : 0);
    kernel.check('send the hello', kernel.native.channelSend(helloText));
  }

  send(text: string): void {
    const { kernel } = this.#parts;
    kernel.check('send a message', kernel.native.channelSend(text));
  }

  addSource(streamId: number, fd: number): void {
    this.#add(streamId, fd, { isSink: false, isTerminal: false });
  }

  addSink(streamId: number, fd: number, isTerminal: boolean): void {
    this.#add(streamId, fd, { isSink: true, isTerminal });
  }

  removeStream(streamId: number): void {
    this.#parts.kernel.native.channelRemove(streamId);
  }

  isSourceAtEnd(streamId: number): boolean {
    return this.#parts.kernel.native.channelIsAtEnd(streamId);
  }

  #add(streamId: number, fd: number, kind: { isSink: boolean; isTerminal: boolean }): void {
    const { kernel, terminals } = this.#parts;
    const operation = `add stream ${String(streamId)}`;
    const pumped = terminals.has(fd) ? kernel.call(operation, 'fcntl', fd, F_DUPFD_CLOEXEC, 3) : fd;
    const result = kernel.native.channelAdd(streamId, pumped, kind.isSink, kind.isTerminal);
    if (result < 0) {
      kernel.close(pumped);
    }
    kernel.check(operation, result);
  }

  #attach(portName: string): void {
    const device = this.#isAttached ? null : this.#findPort(portName);
    if (device === null) {
      return;
    }
    const { kernel, events } = this.#parts;
    const operation = `open /dev/${device}`;
    const flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
    const fd = kernel.call(operation, 'openat', AT_FDCWD, `/dev/${device}`, flags, 0);
    // The port tells by SIGIO that a host may have come.
    kernel.call(operation, 'fcntl', fd, F_SETOWN, ownPid);
    events.onSignal(SIGIO, () => {
      kernel.native.channelCheck();
    });
    kernel.native.channelAttach(fd);
    this.#isAttached = true;
  }

  /** A port has its name only some time after its directory; another uevent tells when. */
  #findPort(portName: string): string | null {
    const { files } = this.#parts;
    if (files.fileStatus(portsDirectory) === null) {
      return null;
    }
    for (const device of files.readDirectory(portsDirectory)) {
      const nameFile = `${portsDirectory}/${device}/name`;
      if (files.fileStatus(nameFile) !== null && files.readFile(nameFile).trim() === portName) {
        return device;
      }
    }
    return null;
  }
}
