import type { Native, SystemCallArgument } from '../../hyperstart/sys/native.ts';

export type CallHandler = (...args: readonly SystemCallArgument[]) => number;

/** The C module without a kernel: system calls are recorded and answered by handlers, else with 0. */
export class FakeNative implements Native {
  readonly calls: (readonly [name: string, ...args: SystemCallArgument[]])[] = [];
  readonly handlers = new Map<string, CallHandler>();
  /** Callback of the epoll set. */
  onEvent: (() => void) | null = null;
  /** What a child would do runs at once when this is set; fork then answers as its parent. */
  runsChildren = false;
  /** Buffers by the address that `addressOf` has given. */
  readonly addresses = new Map<number, ArrayBuffer>();
  #nextAddress = 0x1000;

  call(name: string, ...args: readonly SystemCallArgument[]): number {
    this.calls.push([name, ...args]);
    const succeeded = name === 'write' ? Number(args[2]) : 0;
    return this.handlers.get(name)?.(...args) ?? succeeded;
  }

  /** Arguments of all calls of this name. */
  argumentsOf(name: string): readonly (readonly SystemCallArgument[])[] {
    return this.calls.filter((call) => call[0] === name).map((call) => call.slice(1));
  }

  get names(): readonly string[] {
    return this.calls.map(([name]) => name);
  }

  /** Texts that were written, with their descriptors. */
  get written(): readonly (readonly [fd: number, text: string])[] {
    return this.argumentsOf('write').map(([fd, address]) => [Number(fd), this.#textAt(address)]);
  }

  /** The strings of a vector as execve takes it. */
  wordsOf(vector: SystemCallArgument | undefined): readonly string[] {
    return [...new BigUint64Array(vector as ArrayBuffer)]
      .slice(0, -1)
      .map((address) => this.#textAt(Number(address)).replace(/\0$/, ''));
  }

  #textAt(address: SystemCallArgument | undefined): string {
    return new TextDecoder().decode(this.addresses.get(Number(address)));
  }

  decodeText(buffer: ArrayBuffer, offset: number, length: number): string {
    return new TextDecoder().decode(new Uint8Array(buffer, offset, length));
  }

  addressOf(buffer: ArrayBuffer): number {
    this.#nextAddress += 0x10000;
    this.addresses.set(this.#nextAddress, buffer);
    return this.#nextAddress;
  }

  fork(flags: number, cgroupFd: number, run: () => void): number {
    this.calls.push(['fork', flags, cgroupFd]);
    if (this.runsChildren) run();
    return 1234;
  }

  listen(fd: number, callback: () => void): number {
    this.calls.push(['listen', fd]);
    this.onEvent = callback;
    return 0;
  }

  startedMs(): number {
    return 0;
  }

  powerOff(): never {
    throw new Error('powered off');
  }

  channelOpen(): void {
    this.calls.push(['channelOpen']);
  }

  channelAttach(fd: number): void {
    this.calls.push(['channelAttach', fd]);
  }

  channelCheck(): void {
    this.calls.push(['channelCheck']);
  }

  channelAccept(): void {
    this.calls.push(['channelAccept']);
  }

  channelSend(text: string): number {
    this.calls.push(['channelSend', text]);
    return 0;
  }

  channelAdd(streamId: number, fd: number, isSink: boolean, isTerminal: boolean): number {
    this.calls.push(['channelAdd', streamId, fd, Number(isSink), Number(isTerminal)]);
    return this.handlers.get('channelAdd')?.(streamId, fd) ?? 0;
  }

  channelRemove(streamId: number): void {
    this.calls.push(['channelRemove', streamId]);
  }

  channelIsAtEnd(): boolean {
    return false;
  }
}
