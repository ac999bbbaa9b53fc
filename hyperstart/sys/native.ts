/** What the C module `hyper:native` exports (native/module.c, native/channel.c). */
export interface Native {
  /**
   * A raw system call by name; -errno when it fails. Strings and arrays of strings are passed as
   * pointers to NUL-terminated copies, ArrayBuffers by address, null as 0.
   */
  call(name: string, ...args: readonly SystemCallArgument[]): number;
  /** 0 when the whole text is written as UTF-8, else -errno. */
  writeText(fd: number, text: string): number;
  /** UTF-8 in a buffer as a string, invalid bytes replaced. */
  decodeText(buffer: ArrayBuffer, offset: number, length: number): string;
  decodeBase64(text: string): ArrayBuffer | null;
  /** For structs that hold pointers; valid while the buffer is referenced. */
  addressOf(buffer: ArrayBuffer): number;
  errorText(errno: number): string;
  /**
   * clone3 into the cgroup (-1: the parent's): the child calls `run`, which ends in execve; the parent
   * gets the child's pid or -errno.
   */
  fork(flags: number, cgroupFd: number, run: () => void): number;
  /** Calls back while the descriptor has one of the epoll events; 0 or -errno. */
  watch(fd: number, events: number, callback: (events: number) => void): number;
  /** Ends a watch and closes its descriptor. */
  unwatch(fd: number): void;
  powerOff(): never;
  channelOpen(
    onSession: () => void,
    onMessage: (text: string) => void,
    onDisconnect: () => void,
    onDrained: (streamId: number) => void,
    onError: (reason: string) => void,
  ): void;
  /** Gives the pump its port; 0 or -errno. */
  channelAttach(fd: number): number;
  channelAccept(helloText: string): number;
  channelSend(text: string): number;
  /** The pump takes `fd` unless it answers -errno. */
  channelAdd(streamId: number, fd: number, isSink: boolean, isTerminal: boolean): number;
  channelRemove(streamId: number): void;
  channelIsAtEnd(streamId: number): boolean;
}

export type SystemCallArgument = number | string | null | ArrayBuffer | readonly string[];
