import type { Readable } from 'node:stream';

/** Everything about images that the daemon above needs; `openImageStore` (store.ts) makes one. */
export interface ImageStore extends AsyncDisposable {
  /**
   * Pulls a reference (`name[:tag][@digest]`; no tag: `latest`) for a platform and tags it. Several pulls of one layer share
   * the work. Rejects NOT_FOUND, UNAUTHORIZED/FORBIDDEN, UNAVAILABLE (registry), INVALID_ARGUMENT.
   */
  pull(reference: string, options: PullOptions): Promise<ImageRecord>;
  /** `docker pull -a`: every tag of the repository. */
  pullAllTags(repository: string, options: PullOptions): Promise<readonly ImageRecord[]>;
  /** Loads a docker-archive or OCI layout tar (plain, gzip or zstd). Returns what was loaded. */
  load(archive: Readable, options: LoadOptions): Promise<readonly LoadedImage[]>;
  /** `docker import`: one layer from a root filesystem tar. Returns the new image. */
  importRootfs(archive: Readable, options: ImportOptions): Promise<ImageRecord>;
  list(): readonly ImageRecord[];
  /** By reference, full id (with or without `sha256:`) or unique id prefix; NOT_FOUND `No such image: x`. */
  get(nameOrId: string): ImageRecord;
  /** The layer files of an image, lowest first, for plugging into a VM. */
  layers(imageId: string): Promise<readonly LayerFile[]>;
  history(nameOrId: string): readonly HistoryEntry[];
  /** INVALID_ARGUMENT for a bad reference. */
  tag(nameOrId: string, newReference: string): void;
  /**
   * Untags, and deletes image and layers when nothing refers to them any more. `usedBy` names the
   * containers of an image: CONFLICT with Docker's message when in the way and not `force`.
   */
  remove(nameOrId: string, options: RemoveOptions): Promise<readonly RemovedItem[]>;
  /** Keeps an image's layers for `owner` (a container id), even when the image is removed. Persists. */
  lease(imageId: string, owner: string): void;
  /** Idempotent. */
  releaseLease(owner: string): void;
  /** Deletes blobs and layers that no image refers to and no pull in progress needs. Returns bytes freed. */
  collectGarbage(): Promise<number>;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface PullOptions {
  readonly platform?: Platform;
  readonly auth?: RegistryAuth;
  readonly signal: AbortSignal;
  /** Docker's progress stream, one object a call, in order. */
  readonly onProgress: (message: ProgressMessage) => void;
}

export interface LoadOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (message: ProgressMessage) => void;
}

export interface ImportOptions extends LoadOptions {
  readonly reference?: string;
  readonly message?: string;
  readonly platform?: Platform;
  /** Dockerfile instructions (`--change`): CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, STOPSIGNAL. */
  readonly changes?: readonly string[];
}

/** Decoded `X-Registry-Auth`. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
  readonly serverAddress?: string;
}

/** One JSON object of Docker's progress stream (jsonmessage). */
export interface ProgressMessage {
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
  readonly stream?: string;
}

export interface ImageRecord {
  /** `sha256:…` of the config blob. */
  readonly id: string;
  /** Familiar form: `busybox:latest`, `localhost:5000/app:1`. */
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly createdUnixMs: number;
  /** Sum of the uncompressed layer tars, bytes. */
  readonly sizeBytes: number;
  readonly platform: Platform;
  readonly diffIds: readonly string[];
  /** The OCI image config as parsed and checked. */
  readonly config: ImageConfig;
  readonly author: string;
  readonly comment: string;
  readonly dockerVersion: string;
  readonly lastTaggedUnixMs: number;
}

/** The `config` object of an OCI image (image-spec, config.md), Docker's field names. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[] | null;
  readonly Cmd: readonly string[] | null;
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly ExposedPorts: Readonly<Record<string, Record<string, never>>>;
  readonly Volumes: Readonly<Record<string, Record<string, never>>>;
  readonly StopSignal: string;
  readonly Shell: readonly string[] | null;
  readonly Healthcheck: Readonly<Record<string, unknown>> | null;
  readonly OnBuild: readonly string[] | null;
}

export interface LayerFile {
  readonly diffId: string;
  /** The layer as an EROFS image. */
  readonly path: string;
}

export interface HistoryEntry {
  readonly id: string;
  readonly createdUnixMs: number;
  readonly createdBy: string;
  readonly tags: readonly string[];
  readonly sizeBytes: number;
  readonly comment: string;
}

export interface LoadedImage {
  readonly id: string;
  readonly references: readonly string[];
}

export interface RemoveOptions {
  readonly force: boolean;
  readonly noPrune: boolean;
  readonly usedBy: (
    imageId: string,
  ) => readonly { readonly containerId: string; readonly running: boolean }[];
}

export type RemovedItem = { readonly Untagged: string } | { readonly Deleted: string };

/** Logs in: resolves with a status text, rejects UNAUTHORIZED. */
export type CheckCredentials = (
  auth: RegistryAuth,
  signal: AbortSignal,
) => Promise<{ status: string; identityToken: string }>;
