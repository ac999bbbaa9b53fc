import { HyperError } from '../base/error.ts';
import type { Digest } from './digest.ts';
import type { Platform } from './image-store.ts';

type MutableConfig = Record<string, unknown>;

/** The `config` object that `--change` instructions make. INVALID_ARGUMENT for one that is none. */
export function parseChanges(changes: readonly string[]): object {
  const config: MutableConfig = {};
  for (const change of changes) applyChange(config, change);
  return config;
}

/** The config blob of an image made of one imported layer. */
export function importedConfig(
  diffId: Digest,
  parts: { readonly platform: Platform; readonly runConfig: object; readonly comment: string },
): Buffer {
  const created = new Date().toISOString();
  const { platform, runConfig, comment } = parts;
  const { os, architecture, variant } = platform;
  return Buffer.from(
    JSON.stringify({
      architecture,
      os,
      ...(variant === undefined ? {} : { variant }),
      created,
      comment,
      config: runConfig,
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, comment }],
    }),
  );
}

function applyChange(config: MutableConfig, change: string): void {
  const match = /^\s*([A-Za-z]+)\s+(.+?)\s*$/s.exec(change);
  const instruction = match?.[1]?.toUpperCase() ?? '';
  const rest = match?.[2] ?? '';
  switch (instruction) {
    case 'CMD':
      config['Cmd'] = command(rest);
      return;
    case 'ENTRYPOINT':
      config['Entrypoint'] = command(rest);
      return;
    case 'ENV': {
      const entry = rest.includes('=') ? rest : rest.replace(/\s+/, '=');
      config['Env'] = [...((config['Env'] as string[] | undefined) ?? []), unquote(entry)];
      return;
    }
    case 'LABEL': {
      const [name = '', value = ''] = split(rest);
      config['Labels'] = { ...(config['Labels'] as object | undefined), [name]: unquote(value) };
      return;
    }
    case 'EXPOSE':
    case 'VOLUME': {
      const field = instruction === 'EXPOSE' ? 'ExposedPorts' : 'Volumes';
      const names = rest.startsWith('[') ? command(rest) : rest.split(/\s+/);
      const keys = names.map((name) =>
        instruction === 'EXPOSE' && !name.includes('/') ? `${name}/tcp` : name,
      );
      config[field] = {
        ...(config[field] as object | undefined),
        ...Object.fromEntries(keys.map((key) => [key, {}])),
      };
      return;
    }
    case 'USER':
      config['User'] = rest;
      return;
    case 'WORKDIR':
      config['WorkingDir'] = rest;
      return;
    case 'STOPSIGNAL':
      config['StopSignal'] = rest;
      return;
    default:
      throw new HyperError(
        'INVALID_ARGUMENT',
        `${instruction || change} is not a valid change command`,
      );
  }
}

/** The exec form is a JSON list, the shell form a line for /bin/sh. */
function command(text: string): readonly string[] {
  if (!text.startsWith('[')) return ['/bin/sh', '-c', text];
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  } catch {
    // Told below, as for a list of something else.
  }
  throw new HyperError('INVALID_ARGUMENT', `--change: ${text} is not a list of strings`);
}

function split(text: string): readonly string[] {
  const equals = text.indexOf('=');
  return equals < 0 ? text.split(/\s+/, 2) : [text.slice(0, equals), text.slice(equals + 1)];
}

function unquote(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"/g, '$1');
}
