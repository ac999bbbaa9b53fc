import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { HyperError } from '../../base/error.ts';
import { stateDescriptor } from './command-line.ts';
import type { QmpClient } from './qmp-client.ts';
import type { VmEvents } from './vm-events.ts';

export interface MigrationParts {
  readonly qmp: Pick<QmpClient, 'execute'>;
  readonly events: VmEvents;
}

/**
 * Writes the state of a paused machine to a file, without the memory that is in shared files. QEMU 7.2
 * sends its state to no file by itself, so it comes by a socket in `directory`.
 */
export async function saveState(
  parts: MigrationParts,
  { file, directory }: { readonly file: string; readonly directory: string },
): Promise<void> {
  const socketPath = path.join(directory, 'state.sock');
  const server = createServer();
  await using _ = { [Symbol.asyncDispose]: () => closed(server) };
  const received = once(server, 'connection').then(async ([socket]) => {
    server.close();
    await pipeline(socket as Socket, createWriteStream(file, { mode: 0o600 }));
  });
  received.catch(() => undefined);
  server.listen(socketPath);
  await once(server, 'listening');
  await migrate(parts, 'migrate', `unix:${socketPath}`);
  await received;
}

/**
 * Takes over a state that `saveState` wrote, in a QEMU that was started to wait for one and that has the
 * file open as `stateDescriptor`.
 */
export async function loadState(parts: MigrationParts): Promise<void> {
  await migrate(parts, 'migrate-incoming', `fd:${String(stateDescriptor)}`);
}

async function migrate(
  { qmp, events }: MigrationParts,
  command: 'migrate' | 'migrate-incoming',
  uri: string,
): Promise<void> {
  await qmp.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'x-ignore-shared', state: true },
      { capability: 'events', state: true },
    ],
  });
  const ended = events.migrationEnd();
  ended.catch(() => undefined);
  await qmp.execute(command, { uri });
  if ((await ended) === 'completed') return;
  const info = await qmp.execute('query-migrate').catch(() => null);
  const reason = hasText(info) ? info['error-desc'] : 'QEMU gives no reason';
  throw new HyperError('INTERNAL', `QEMU: ${command}: the state could not be moved: ${reason}`);
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  await once(server, 'close');
}

function hasText(info: unknown): info is { 'error-desc': string } {
  return (
    typeof info === 'object' &&
    info !== null &&
    'error-desc' in info &&
    typeof info['error-desc'] === 'string'
  );
}
