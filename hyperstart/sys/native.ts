/** What the C module `hyper:native` exports (native/module.c). */
export interface Native {
  /**
   * A raw system call by its number (system-calls.ts); -errno when it fails. Strings are passed as pointers
   * to NUL-terminated copies, ArrayBuffers by address, null as 0.
   */
  call(number: number, ...args: readonly SystemCallArgument[]): number;
  /** A string as UTF-8. */
  encodeText(text: string): ArrayBuffer;
  /** UTF-8 in a buffer as a string, invalid bytes replaced. */
  decodeText(buffer: ArrayBuffer, offset: number, length: number): string;
  /** For structs that hold pointers; valid while the buffer is referenced. */
  addressOf(buffer: ArrayBuffer): number;
  /**
   * A child by clone3, in the cgroup unless that is -1, which carries the plan out (CallPlan.encode): its
   * pid or -errno. The plan has to be kept until `reportFd` is closed: when the child has run its program
   * or ended.
   */
  spawn(flags: number, cgroupFd: number, reportFd: number, plan: ArrayBuffer): number;
  /** Calls back while this one descriptor is readable: an epoll set with all others. 0 or -errno. */
  listen(fd: number, callback: () => void): number;
  /**
   * Calls back when the program runs. What it does before is done when the binary is built, and no
   * system calls: what it has in memory then is there from the beginning.
   */
  begin(callback: () => void): void;
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
  /**
   * Begins the session that was announced; the hello is to be sent next. The address is that of memory
   * which the host shares, or 0.
   */
  channelAccept(sharedMemory: number): void;
  /** 0, or -errno when the text is too long for a message. */
  channelSend(text: string): number;
  /** The pump takes `fd` unless it answers -errno. */
  channelAdd(streamId: number, fd: number, isSink: boolean, isTerminal: boolean): number;
  channelRemove(streamId: number): void;
  channelIsAtEnd(streamId: number): boolean;
}

export type SystemCallArgument = number | string | null | ArrayBuffer;
