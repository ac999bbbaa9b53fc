import type { Static } from 'typebox';

import type { CreateRequest, WaitResult } from '../pod/container-service.ts';
import { parseDetachKeys } from '../pod/detach-keys.ts';
import { parseCreateRequest } from './create-request.ts';
import {
  type HijackDependencies,
  type HijackedConnection,
  refuse,
  writeHead,
} from './hijacked-connection.ts';
import { toFrameParts, toNumberedFrame } from './raw-stream.ts';
import { renderWaitResult } from './render/render-container.ts';
import { type RunEvent, type RunQuery, runEventStream } from './schema/hyper.ts';
import { textParameter } from './schema/query.ts';
import { abortOnClose, pumpSession, type SessionEnd } from './stdio-pump.ts';

/**
 * `POST /hyper/run`: a container from create to its end on one connection (`schema/hyper.ts` has what
 * goes over it). Rejects before any byte is answered when no container can be created. A client that
 * goes away lets its container run on.
 */
export async function hijackRun(
  dependencies: HijackDependencies,
  hijacked: HijackedConnection,
  { body, query }: { readonly body: unknown; readonly query: Static<typeof RunQuery> },
): Promise<void> {
  const request = parseCreateRequest(body, query);
  const detachKeys = textParameter(query.detachKeys);
  // Refused while there is no container yet.
  parseDetachKeys(detachKeys);
  const { id, warnings } = await dependencies.containers.create(request);
  const run = { id, warnings, request, detachKeys, headers: `Hyper-Container: ${id}\r\n` };
  try {
    await runCreated(dependencies, hijacked, run);
  } catch (cause) {
    refuse(hijacked.connection, cause, dependencies.logger, run.headers);
  }
}

interface CreatedRun {
  readonly id: string;
  readonly warnings: readonly string[];
  readonly request: CreateRequest;
  readonly detachKeys: string;
  readonly headers: string;
}

/** Attaches, waits and starts, in this order: neither output nor exit can come too early. */
async function runCreated(
  { containers, closing }: HijackDependencies,
  hijacked: HijackedConnection,
  { id, warnings, request, detachKeys, headers }: CreatedRun,
): Promise<void> {
  const { connection } = hijacked;
  const { config, hostConfig } = request;
  await using undo = new AsyncDisposableStack();
  const stdin = config.OpenStdin === true && config.AttachStdin === true;
  const output = { stdout: true, stderr: true, logs: false, stream: true };
  const session = undo.use(await containers.attach(id, { stdin, ...output, detachKeys }));
  const condition = hostConfig.AutoRemove === true ? 'removed' : 'next-exit';
  const left = AbortSignal.any([closing, abortOnClose(connection).signal]);
  const { exited } = containers.wait(id, condition, left);
  // One that is given up, with the start or by the client, concerns nobody.
  exited.catch(() => undefined);
  await containers.start(id, closing);
  undo.move();
  writeHead(hijacked, false, headers);
  if (warnings.length > 0) {
    connection.write(toEventFrame({ Warnings: [...warnings] }));
  }
  await pumpSession(session, connection, toFrameParts, (end) => lastFrame(end, exited, left));
}

/** null when nobody is there to be told, or the daemon goes: that must not look like an exit. */
async function lastFrame(
  end: SessionEnd,
  exited: Promise<WaitResult>,
  left: AbortSignal,
): Promise<Buffer | null> {
  if (end === 'let go') {
    return toEventFrame({ Detached: true });
  }
  try {
    return toEventFrame(renderWaitResult(await exited));
  } catch (cause) {
    if (left.aborted) {
      return null;
    }
    throw cause;
  }
}

function toEventFrame(event: RunEvent): Buffer {
  return toNumberedFrame(runEventStream, Buffer.from(JSON.stringify(event)));
}
