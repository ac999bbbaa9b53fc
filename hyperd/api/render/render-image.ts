import type { HistoryEntry, ImageConfig, ImageRecord } from '../../image/image-store.ts';
import { toTimestamp } from './render-time.ts';

/** One element of `GET /images/json`. */
export function renderImageSummary(
  image: ImageRecord,
  options: { readonly containers: number; readonly legacy: boolean },
): object {
  const isDangling = image.repoTags.length === 0;
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: isDangling && options.legacy ? ['<none>:<none>'] : image.repoTags,
    RepoDigests:
      image.repoDigests.length === 0 && options.legacy ? ['<none>@<none>'] : image.repoDigests,
    Created: Math.floor(image.createdUnixMs / 1000),
    Size: image.sizeBytes,
    ...(options.legacy ? { VirtualSize: image.sizeBytes } : {}),
    SharedSize: -1,
    Labels: Object.keys(image.config.Labels).length === 0 ? null : image.config.Labels,
    Containers: options.containers,
  };
}

/** `GET /images/{name}/json`. */
export function renderImage(image: ImageRecord, options: { readonly legacy: boolean }): object {
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: '',
    Comment: image.comment,
    Created: toTimestamp(image.createdUnixMs),
    DockerVersion: image.dockerVersion,
    Author: image.author,
    Config: { ...(options.legacy ? legacyConfig : {}), ...renderImageConfig(image.config) },
    Architecture: image.platform.architecture,
    ...(image.platform.variant === undefined ? {} : { Variant: image.platform.variant }),
    Os: image.platform.os,
    Size: image.sizeBytes,
    ...(options.legacy ? { VirtualSize: image.sizeBytes } : {}),
    GraphDriver: { Name: 'erofs', Data: null },
    RootFS: { Type: 'layers', Layers: image.diffIds },
    Metadata: { LastTagTime: toTimestamp(image.lastTaggedUnixMs || null) },
  };
}

/** One element of `GET /images/{name}/history`. */
export function renderHistoryEntry(entry: HistoryEntry): object {
  return {
    Id: entry.id,
    Created: Math.floor(entry.createdUnixMs / 1000),
    CreatedBy: entry.createdBy,
    Tags: entry.tags.length === 0 ? null : entry.tags,
    Size: entry.sizeBytes,
    Comment: entry.comment,
  };
}

/** Container fields that an image's config carried, always empty, before API 1.50. */
const legacyConfig = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
};

function renderImageConfig(config: ImageConfig): object {
  const { ExposedPorts, Volumes, Healthcheck, Shell, StopSignal } = config;
  return {
    User: config.User,
    ...(Object.keys(ExposedPorts).length > 0 ? { ExposedPorts } : {}),
    Env: config.Env,
    Cmd: config.Cmd,
    ...(Healthcheck === null ? {} : { Healthcheck }),
    Volumes: Object.keys(Volumes).length > 0 ? Volumes : null,
    WorkingDir: config.WorkingDir,
    Entrypoint: config.Entrypoint,
    OnBuild: config.OnBuild,
    Labels: Object.keys(config.Labels).length > 0 ? config.Labels : null,
    ...(StopSignal === '' ? {} : { StopSignal }),
    ...(Shell === null ? {} : { Shell }),
  };
}
