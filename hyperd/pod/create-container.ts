import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';

import { HyperError } from '../base/error.ts';
import type { ImageRecord, Platform } from '../image/image-store.ts';
import { Container } from './container.ts';
import type { ContainerRecord } from './container-record.ts';
import type { CreateRequest } from './container-service.ts';
import { neverRan } from './container-state.ts';
import type { PodContext } from './context.ts';
import { generateName, parseContainerName } from './names.ts';
import { checkSeccomp } from './seccomp/program.ts';
import { type ContainerSpec, toContainerSpec } from './spec/container-spec.ts';
import { mergeConfig } from './spec/merge-config.ts';

const hostArchitecture: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
}

/** Checks the request, then makes the container's files and record. A refusal leaves nothing. */
export function createContainer(context: PodContext, request: CreateRequest): Promise<Created> {
  const wanted = request.name === null ? null : parseContainerName(request.name);
  return context.names.run(async () => {
    if (wanted !== null) context.table.assertNameFree(wanted);
    if (request.config.Image === '') {
      throw new HyperError('INVALID_ARGUMENT', 'no image specified');
    }
    const image = findImage(context, request);
    const id = randomBytes(32).toString('hex');
    const effectiveConfig = mergeConfig(request.config, image.config, id);
    const spec = toContainerSpec(effectiveConfig, request.hostConfig, context.capacity);
    checkSeccomp(spec);
    await using undo = new AsyncDisposableStack();
    await makeFiles(context, { id, spec, imageId: image.id }, undo);
    const name = wanted ?? generateName((taken) => context.table.withName(taken) !== undefined);
    const record: ContainerRecord = {
      ...{ id, name, createdUnixMs: Date.now(), imageId: image.id },
      imageName: request.config.Image,
      config: request.config,
      hostConfig: request.hostConfig,
      effectiveConfig,
      layers: await context.images.layers(image.id),
      restartCount: 0,
      stoppedByHand: false,
      state: { status: 'created', exit: neverRan, startedUnixMs: null },
    };
    const { store, events } = context;
    store.saveContainer(record);
    const state = { status: 'created', exit: neverRan } as const;
    const container = new Container({ record, state, store, events });
    context.table.add(container);
    undo.move();
    container.publish('create');
    return { id, warnings: platformWarnings(image.platform, request.platform) };
  });
}

function findImage(context: PodContext, { config, platform }: CreateRequest): ImageRecord {
  const image = context.images.get(config.Image);
  if (platform === null || isSamePlatform(image.platform, platform)) return image;
  throw new HyperError(
    'NOT_FOUND',
    `image with reference ${config.Image} was found but its platform (${nameOf(image.platform)}) does not match the specified platform (${nameOf(platform)})`,
  );
}

interface NewContainer {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly imageId: string;
}

async function makeFiles(
  context: PodContext,
  { id, spec, imageId }: NewContainer,
  undo: AsyncDisposableStack,
): Promise<void> {
  const directory = context.paths.container(id);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  // Opening the log is also the check of its driver and options.
  const log = await context.openLog({ ...spec.log, directory, containerId: id });
  await log[Symbol.asyncDispose]();
  context.images.lease(imageId, id);
  undo.defer(() => {
    context.images.releaseLease(id);
  });
  await context.templates.clone(spec.diskSizeBytes, context.paths.writableDisk(id));
}

function platformWarnings(image: Platform, wanted: Platform | null): readonly string[] {
  const host = hostArchitecture[process.arch] ?? process.arch;
  if (wanted !== null || image.architecture === host) return [];
  return [
    `The requested image's platform (${nameOf(image)}) does not match the detected host platform (linux/${host}) and no specific platform was requested`,
  ];
}

function isSamePlatform(image: Platform, wanted: Platform): boolean {
  return (
    image.os === wanted.os &&
    image.architecture === wanted.architecture &&
    (wanted.variant === undefined || image.variant === wanted.variant)
  );
}

function nameOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/');
}
