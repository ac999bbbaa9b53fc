import type { Channel, ChannelHandlers } from '../../hyperstart/sys/sys.ts';

/** The frame pump's place: remembers what it was told. */
export class FakeChannel implements Channel {
  handlers: ChannelHandlers | null = null;
  readonly accepted: string[] = [];
  readonly sent: string[] = [];
  readonly sources = new Map<number, number>();
  readonly sinks = new Map<number, { readonly fd: number; readonly isTerminal: boolean }>();
  readonly removed: number[] = [];
  /** Streams whose source was read to its end though the host has not taken it all. */
  readonly readToEnd = new Set<number>();

  accept(helloText: string): void {
    this.accepted.push(helloText);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  addSource(streamId: number, fd: number): void {
    this.sources.set(streamId, fd);
  }

  addSink(streamId: number, fd: number, isTerminal: boolean): void {
    this.sinks.set(streamId, { fd, isTerminal });
  }

  removeStream(streamId: number): void {
    this.removed.push(streamId);
    this.sources.delete(streamId);
    this.sinks.delete(streamId);
  }

  isSourceAtEnd(streamId: number): boolean {
    return this.readToEnd.has(streamId) || !this.sources.has(streamId);
  }
}
