import type { Native, SystemCallArgument } from '../../hyperstart/sys/native.ts';

export type CallHandler = (...args: readonly SystemCallArgument[]) => number;

/** The C module without a kernel: system calls are recorded and answered by handlers, else with 0. */
export class FakeNative implements Native {
  readonly calls: (readonly [name: string, ...args: SystemCallArgument[]])[] = [];
  readonly handlers = new Map<string, CallHandler>();
  readonly written: (readonly [fd: number, text: string])[] = [];
  readonly watches = new Map<number, (events: number) => void>();
  /** What a child would do runs at once when this is set; fork then answers as its parent. */
  runsChildren = false;
  /** Buffers by the address that `addressOf` has given. */
  readonly addresses = new Map<number, ArrayBuffer>();
  #nextAddress = 0x1000;

  call(name: string, ...args: readonly SystemCallArgument[]): number {
    this.calls.push([name, ...args]);
    return this.handlers.get(name)?.(...args) ?? 0;
  }

  /** Arguments of all calls of this name. */
  argumentsOf(name: string): readonly (readonly SystemCallArgument[])[] {
    return this.calls.filter((call) => call[0] === name).map((call) => call.slice(1));
  }

  get names(): readonly string[] {
    return this.calls.map(([name]) => name);
  }

  writeText(fd: number, text: string): number {
    this.written.push([fd, text]);
    return 0;
  }

  decodeText(buffer: ArrayBuffer, offset: number, length: number): string {
    return new TextDecoder().decode(new Uint8Array(buffer, offset, length));
  }

  decodeBase64(text: string): ArrayBuffer | null {
    const bytes = Buffer.from(text, 'base64');
    return Uint8Array.from(bytes).buffer;
  }

  addressOf(buffer: ArrayBuffer): number {
    this.#nextAddress += 0x10000;
    this.addresses.set(this.#nextAddress, buffer);
    return this.#nextAddress;
  }

  errorText(errno: number): string {
    return `error ${String(errno)}`;
  }

  fork(flags: number, cgroupFd: number, run: () => void): number {
    this.calls.push(['fork', flags, cgroupFd]);
    if (this.runsChildren) run();
    return 1234;
  }

  watch(fd: number, events: number, callback: (events: number) => void): number {
    this.calls.push(['watch', fd, events]);
    this.watches.set(fd, callback);
    return 0;
  }

  unwatch(fd: number): void {
    this.calls.push(['unwatch', fd]);
    this.watches.delete(fd);
  }

  powerOff(): never {
    throw new Error('powered off');
  }

  channelOpen(): void {
    this.calls.push(['channelOpen']);
  }

  channelAttach(fd: number): number {
    this.calls.push(['channelAttach', fd]);
    return 0;
  }

  channelAccept(text: string): number {
    this.calls.push(['channelAccept', text]);
    return 0;
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
