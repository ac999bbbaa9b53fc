import type { Native, SystemCallArgument } from '../../hyperstart/sys/native.ts';
import { systemCalls } from '../../hyperstart/sys/system-calls.ts';

const callNames = new Map<number, string>(
  Object.entries(systemCalls).map(([name, number]) => [number, name]),
);
/** As native/plan.c has them. */
const callFields = 10;
const lastResult = 2 ** 52;
/** Above all numbers that are no addresses. */
const firstAddress = 2 ** 44;

export type CallHandler = (...args: readonly SystemCallArgument[]) => number;

/** The C module without a kernel: system calls are recorded and answered by handlers, else with 0. */
export class FakeNative implements Native {
  readonly calls: (readonly [name: string, ...args: SystemCallArgument[]])[] = [];
  readonly handlers = new Map<string, CallHandler>();
  /** Callback of the epoll set. */
  onEvent: (() => void) | null = null;
  /** A child's plan is carried out at once when this is set; spawn then answers as its parent. */
  runsChildren = false;
  /** The call of its plan that failed last for a child, as it reports it. */
  failed: { readonly place: number; readonly errno: number } | null = null;

  /** Buffers by the address that `addressOf` has given. */
  readonly addresses = new Map<number, ArrayBuffer>();
  #nextAddress = firstAddress;

  call(number: number, ...args: readonly SystemCallArgument[]): number {
    const name = callNames.get(number) ?? String(number);
    this.calls.push([name, ...args]);
    const succeeded = name === 'write' ? Number(args[2]) : 0;
    return this.handlers.get(name)?.(...args) ?? succeeded;
  }

  begin(callback: () => void): void {
    callback();
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
    const pointers = [...new BigUint64Array(vector as ArrayBuffer)].slice(0, -1);
    return pointers.map((pointer) => this.#stringAt(Number(pointer)));
  }

  #textAt(argument: SystemCallArgument | undefined): string {
    const buffer =
      argument instanceof ArrayBuffer ? argument : this.addresses.get(Number(argument));
    return new TextDecoder().decode(buffer);
  }

  /** The string that ends with a NUL at an address. */
  #stringAt(address: number): string {
    for (const [base, buffer] of this.addresses) {
      const offset = address - base;
      if (offset < 0 || offset >= buffer.byteLength) continue;
      const bytes = Buffer.from(buffer);
      return bytes.toString('utf8', offset, bytes.indexOf(0, offset));
    }
    throw new Error(`nothing is at ${String(address)}`);
  }

  decodeText(buffer: ArrayBuffer, offset: number, length: number): string {
    return new TextDecoder().decode(new Uint8Array(buffer, offset, length));
  }

  encodeText(text: string): ArrayBuffer {
    return Uint8Array.from(new TextEncoder().encode(text)).buffer;
  }

  addressOf(buffer: ArrayBuffer): number {
    this.#nextAddress += 0x10000;
    this.addresses.set(this.#nextAddress, buffer);
    return this.#nextAddress;
  }

  spawn(flags: number, cgroupFd: number, reportFd: number, plan: ArrayBuffer): number {
    this.calls.push(['spawn', flags, cgroupFd, reportFd]);
    if (this.runsChildren) this.#carryOut(new Float64Array(plan));
    return 1234;
  }

  /** As native/plan.c does it. */
  #carryOut(plan: Float64Array): void {
    this.failed = null;
    let last = 0;
    for (let place = 0; place * callFields < plan.length; place += 1) {
      const [number = -1, ...rest] = plan.subarray(place * callFields, (place + 1) * callFields);
      const [tolerated = 0, afterSuccess = 0, afterError = 0] = rest.slice(6);
      const args = rest.slice(0, 6).map((value) => (value === lastResult ? last : value));
      const result = this.call(number, ...args.map((value) => this.#resolve(value)));
      if (result >= 0) last = result;
      if (result < 0 && Math.floor(tolerated / 2 ** -result) % 2 === 0) {
        this.failed = { place, errno: -result };
        return;
      }
      place += result < 0 ? afterError : afterSuccess;
    }
  }

  /** Strings and buffers instead of their addresses. */
  #resolve(value: number): SystemCallArgument {
    if (value < firstAddress) return value;
    return this.addresses.get(value) ?? this.#stringAt(value);
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

  channelAccept(sharedMemory: number): void {
    this.calls.push(['channelAccept', sharedMemory]);
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
