import { HyperError } from '../base/error.ts';
import { digestOf, parseDigest } from './digest.ts';
import type { ImageConfig, Platform } from './image-store.ts';
import { asArray, asObject, asString, asStrings, type JsonObject, parseJson } from './json.ts';

/** A config blob (OCI image-spec, config.md), checked. */
export interface ParsedConfig {
  readonly id: string;
  readonly platform: Platform;
  readonly createdUnixMs: number;
  readonly author: string;
  readonly comment: string;
  readonly dockerVersion: string;
  readonly diffIds: readonly string[];
  readonly history: readonly ConfigHistory[];
  readonly config: ImageConfig;
}

export interface ConfigHistory {
  readonly createdUnixMs: number;
  readonly createdBy: string;
  readonly comment: string;
  readonly isEmptyLayer: boolean;
}

/** Parses a config blob; its id is its digest. INVALID_ARGUMENT names the bad field. */
export function parseImageConfig(bytes: Uint8Array): ParsedConfig {
  const json = parseJson(bytes, 'image config');
  const rootfs = asObject(json['rootfs'], 'image config: rootfs');
  const diffIds = asArray(rootfs['diff_ids'], 'image config: rootfs.diff_ids', 127).map((value) =>
    parseDigest(value, 'image config: rootfs.diff_ids'),
  );
  const architecture = asString(json['architecture'], 'image config: architecture');
  const os = asString(json['os'], 'image config: os');
  if (architecture === '' || os === '') {
    throw new HyperError('INVALID_ARGUMENT', 'image config: os and architecture are missing');
  }
  const variant = asString(json['variant'], 'image config: variant');
  return {
    id: digestOf(bytes),
    platform: { os, architecture, ...(variant === '' ? {} : { variant }) },
    createdUnixMs: parseTime(json['created']),
    author: asString(json['author'], 'image config: author'),
    comment: asString(json['comment'], 'image config: comment'),
    dockerVersion: asString(json['docker_version'], 'image config: docker_version'),
    diffIds,
    history: asArray(json['history'], 'image config: history').map((entry) => {
      const item = asObject(entry, 'image config: history');
      return {
        createdUnixMs: parseTime(item['created']),
        createdBy: asString(item['created_by'], 'image config: history.created_by'),
        comment: asString(item['comment'], 'image config: history.comment'),
        isEmptyLayer: item['empty_layer'] === true,
      };
    }),
    config: parseRunConfig(asObject(json['config'] ?? {}, 'image config: config')),
  };
}

function parseRunConfig(json: JsonObject): ImageConfig {
  const field = (name: string): string => `image config: config.${name}`;
  return {
    User: asString(json['User'], field('User')),
    Env: asStrings(json['Env'], field('Env')),
    Entrypoint: stringsOrNull(json['Entrypoint'], field('Entrypoint')),
    Cmd: stringsOrNull(json['Cmd'], field('Cmd')),
    WorkingDir: asString(json['WorkingDir'], field('WorkingDir')),
    Labels: Object.fromEntries(
      Object.entries(asObject(json['Labels'] ?? {}, field('Labels'))).map(([name, value]) => [
        name,
        asString(value, field(`Labels.${name}`)),
      ]),
    ),
    ExposedPorts: keySet(json['ExposedPorts'], field('ExposedPorts')),
    Volumes: keySet(json['Volumes'], field('Volumes')),
    StopSignal: asString(json['StopSignal'], field('StopSignal')),
    Shell: stringsOrNull(json['Shell'], field('Shell')),
    Healthcheck:
      json['Healthcheck'] === undefined || json['Healthcheck'] === null
        ? null
        : asObject(json['Healthcheck'], field('Healthcheck')),
    OnBuild: stringsOrNull(json['OnBuild'], field('OnBuild')),
  };
}

function stringsOrNull(value: unknown, field: string): readonly string[] | null {
  return value === undefined || value === null ? null : asStrings(value, field);
}

function keySet(value: unknown, field: string): Readonly<Record<string, Record<string, never>>> {
  return Object.fromEntries(Object.keys(asObject(value ?? {}, field)).map((key) => [key, {}]));
}

function parseTime(value: unknown): number {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? 0 : time;
}
