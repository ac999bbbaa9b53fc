import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A connection that keeps every byte it gets, for tests of what goes on below HTTP. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    socket.once('end', () => {
      this.ended = true;
    });
    socket.on('error', () => undefined);
  }

  static async open(path: string): Promise<RawConnection> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Closes our sending side alone. */
  halfClose(): void {
    this.socket.end();
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  /** What came after the head of the answer. */
  get body(): string {
    const end = this.text.indexOf('\r\n\r\n');
    return end < 0 ? '' : this.text.slice(end + 4);
  }

  async until(arrived: (connection: this) => boolean): Promise<void> {
    const deadline = Date.now() + 5000;
    while (!arrived(this)) {
      if (Date.now() > deadline) {
        throw new Error(`never arrived; so far: ${JSON.stringify(this.text)}`);
      }
      await delay(5);
    }
  }

  untilText(text: string): Promise<void> {
    return this.until((connection) => connection.text.includes(text));
  }

  untilEnd(): Promise<void> {
    return this.until((connection) => connection.ended);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A POST that asks to leave HTTP. */
export function upgradeRequest(path: string, body = ''): string {
  const type = body === '' ? '' : 'Content-Type: application/json\r\n';
  return `POST ${path} HTTP/1.1\r\nHost: hyper\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${type}Content-Length: ${String(body.length)}\r\n\r\n${body}`;
}

/** A POST of the time before upgrades. */
export function plainRequest(path: string, body = ''): string {
  const type = body === '' ? '' : 'Content-Type: application/json\r\n';
  return `POST ${path} HTTP/1.1\r\nHost: hyper\r\n${type}Content-Length: ${String(body.length)}\r\n\r\n${body}`;
}

/** A frame as Docker's multiplexed stream has it, as latin1 text. */
export function frame(stream: 1 | 2 | 4, text: string): string {
  return `${String.fromCharCode(stream)}\0\0\0\0\0\0${String.fromCharCode(text.length)}${text}`;
}
