import { HyperError } from '../base/error.ts';
import { type Digest, parseDigest } from './digest.ts';
import type { Platform } from './image-store.ts';
import { asArray, asObject, asSize, asString, type JsonObject, parseJson } from './json.ts';
import { hostPlatform, platformName, rankOf } from './platform.ts';

/** What points to a blob (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Media types that a registry is asked for, best first. */
export const manifestMediaTypes: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

const layerMediaTypes = new Set([
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
]);
const configMediaTypes = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
const maxLayers = 127;

/** True for an OCI index or a Docker manifest list. */
export function isIndex(bytes: Uint8Array): boolean {
  return parseJson(bytes, 'manifest')['manifests'] !== undefined;
}

/** Parses an image manifest (Docker schema 2 or OCI). INVALID_ARGUMENT names the bad field. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const json = parseJson(bytes, 'manifest');
  if (json['schemaVersion'] !== 2) {
    const text = `manifest: schema version ${JSON.stringify(json['schemaVersion'])} is not supported, only 2`;
    throw new HyperError('UNSUPPORTED', text);
  }
  const config = parseDescriptor(asObject(json['config'], 'manifest: config'), 'manifest: config');
  if (!configMediaTypes.has(config.mediaType)) {
    throw unknownType('config', config.mediaType);
  }
  const layers = asArray(json['layers'], 'manifest: layers', maxLayers).map((value) =>
    parseDescriptor(asObject(value, 'manifest: layers'), 'manifest: layers'),
  );
  for (const layer of layers) {
    if (!layerMediaTypes.has(layer.mediaType)) throw unknownType('layer', layer.mediaType);
  }
  return { config, layers };
}

/** The manifest of an index that fits a platform best. NOT_FOUND with Docker's words when none does. */
export function chooseManifest(
  bytes: Uint8Array,
  platform: Platform | null,
  what: string,
): Descriptor {
  const wanted = platform ?? hostPlatform();
  const manifests = asArray(parseJson(bytes, 'index')['manifests'], 'index: manifests', 1000);
  const entries = manifests.map((value) => asObject(value, 'index: manifests'));
  let best: { readonly entry: JsonObject; readonly rank: number } | null = null;
  for (const entry of entries) {
    if (entry['platform'] === undefined) continue;
    const rank = rankOf(parsePlatform(asObject(entry['platform'], 'index: platform')), wanted);
    if (rank !== null && (best === null || rank < best.rank)) best = { entry, rank };
  }
  const [only] = entries;
  if (best === null && entries.length === 1 && only?.['platform'] === undefined && only) {
    best = { entry: only, rank: 0 };
  }
  if (best === null) {
    const text = `no matching manifest for ${platformName(wanted)} in the manifest list entries`;
    throw new HyperError('NOT_FOUND', text, { hint: `${what} has no image for this platform` });
  }
  return parseDescriptor(best.entry, 'index: manifests');
}

function parsePlatform(json: JsonObject): Platform {
  const variant = asString(json['variant'], 'index: platform.variant');
  return {
    os: asString(json['os'], 'index: platform.os'),
    architecture: asString(json['architecture'], 'index: platform.architecture'),
    ...(variant === '' ? {} : { variant }),
  };
}

function parseDescriptor(json: JsonObject, field: string): Descriptor {
  return {
    mediaType: asString(json['mediaType'], `${field}.mediaType`),
    digest: parseDigest(json['digest'], `${field}.digest`),
    sizeBytes: asSize(json['size'], `${field}.size`),
  };
}

function unknownType(what: string, mediaType: string): HyperError {
  return new HyperError(
    'UNSUPPORTED',
    `manifest: a ${what} of the media type ${JSON.stringify(mediaType)} cannot be used as an image`,
  );
}
