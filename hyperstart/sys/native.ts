/** What the C module `hyper:native` exports (native/module.c). */
export interface Native {
  /**
   * A raw system call by name; -errno when it fails. Strings are passed as pointers to NUL-terminated
   * copies, ArrayBuffers by address, null as 0.
   */
  call(name: string, ...args: readonly SystemCallArgument[]): number;
  /** UTF-8 in a buffer as a string, invalid bytes replaced. */
  decodeText(buffer: ArrayBuffer, offset: number, length: number): string;
  /** For structs that hold pointers; valid while the buffer is referenced. */
  addressOf(buffer: ArrayBuffer): number;
  /**
   * clone3 into the cgroup (-1: the parent's): the child calls `run`, which ends in execve; the parent
   * gets the child's pid or -errno.
   */
  fork(flags: number, cgroupFd: number, run: () => void): number;
  /** Calls back while this one descriptor is readable: an epoll set with all others. 0 or -errno. */
  listen(fd: number, callback: () => void): number;
  /** When this process began to run, in milliseconds since the kernel did. */
  startedMs(): number;
  powerOff(): never;
  channelOpen(
    onSession: () => void,
    onMessage: (text: string) => void,
    onDisconnect: () => void,
    onDrained: (streamId: number) => void,
    onError: (reason: string) => void,
  ): void;
  /** Gives the pump its port. */
  channelAttach(fd: number): void;
  /** To be called on SIGIO, by which the port tells that a host may have come. */
  channelCheck(): void;
  /** Begins the session that was announced; the hello is to be sent next. */
  channelAccept(): void;
  /** 0, or -errno when the text is too long for a message. */
  channelSend(text: string): number;
  /** The pump takes `fd` unless it answers -errno. */
  channelAdd(streamId: number, fd: number, isSink: boolean, isTerminal: boolean): number;
  channelRemove(streamId: number): void;
  channelIsAtEnd(streamId: number): boolean;
}

export type SystemCallArgument = number | string | null | ArrayBuffer;
