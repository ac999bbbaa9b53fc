/**
 * Sends the request of a plain `hyper run`, then becomes Node, which takes the connection over. Node takes
 * 30 ms to start; meanwhile hyperd starts the container. This runs on hyperstart's engine, which is there in
 * two. Called as `early-run NODE BUNDLE ARGUMENT…`. Whatever is not plain, and whatever fails, is Node's.
 */
import { struct } from '../../hyperstart/sys/kernel.ts';
import { nativeKernel as kernel } from '../../hyperstart/sys/native-kernel.ts';
import { pointers } from '../../hyperstart/sys/text.ts';
import { parseRunCall } from '../commands/run-call.ts';
import { runRequest } from '../commands/run-options.ts';
import { hostOf, parseHost } from '../host.ts';
import { runRequestText, sentRequestVariable } from '../run-request-text.ts';
import { environmentWords, ownEnvironment } from './config.ts';
import { Words } from './words.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SIG_UNBLOCK = 1;
const signalSetBytes = 8;
/** Those that the engine's event loop has blocked: SIGPIPE, SIGCHLD, SIGIO. */
const blockedSignals = [13, 17, 29];
/** Of sun_path, with a NUL. */
const maxPathBytes = 108;
const firstFreeDescriptor = 3;

function main(): void {
  const words = new Words(kernel, '/proc/self/cmdline');
  const sent = trySend(words.texts.slice(3));
  const [, node = 0, ...rest] = words.addresses;
  const environment = [...environmentWords().addresses];
  const variable = kernel.native.encodeText(`${sentRequestVariable}=${String(sent)}\0`);
  if (sent !== null) environment.push(kernel.native.addressOf(variable));
  unblockSignals();
  kernel.call('run Node', 'execve', node, pointers([node, ...rest]), pointers(environment));
}

/** The connection's descriptor. null: nothing was asked for, Node does it and says what is wrong. */
function trySend(args: readonly string[]): number | null {
  let fd = -1;
  try {
    const call = parseRunCall(args);
    if (call === null || call.options.pull === 'always') return null;
    const address = parseHost(hostOf(call.host, ownEnvironment()));
    if (!('path' in address)) return null;
    const request = runRequest(call.image, call.command, call.options);
    const bytesOf = (text: string): ArrayBuffer => kernel.native.encodeText(text);
    const text = runRequestText(request, (body) => bytesOf(body).byteLength);
    fd = kernel.call('open a socket', 'socket', AF_UNIX, SOCK_STREAM, 0);
    connect(fd, bytesOf(address.path));
    kernel.check('send the request', kernel.writeText(fd, text));
    return fd;
  } catch {
    if (fd >= 0) kernel.close(fd);
    return null;
  }
}

function connect(fd: number, path: ArrayBuffer): void {
  if (path.byteLength >= maxPathBytes) throw new Error('the path is too long');
  // Node would take a low number for its stdio.
  if (fd < firstFreeDescriptor) throw new Error('there is no stdio');
  const size = 2 + path.byteLength + 1;
  const address = struct(size, (view) => {
    view.setUint16(0, AF_UNIX, true);
    new Uint8Array(view.buffer).set(new Uint8Array(path), 2);
  });
  kernel.call('connect', 'connect', fd, address, size);
}

function unblockSignals(): void {
  const set = struct(signalSetBytes, (view) => {
    const mask = blockedSignals.reduce((bits, signal) => bits + 2 ** (signal - 1), 0);
    view.setUint32(0, mask, true);
  });
  kernel.call('unblock signals', 'rt_sigprocmask', SIG_UNBLOCK, set, null, signalSetBytes);
}

kernel.native.begin(main);
