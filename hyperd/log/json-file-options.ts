import { HyperError } from '../base/error.ts';

export interface JsonFileOptions {
  /** Bytes at which the file is rotated; null: never. */
  readonly maxSizeBytes: number | null;
  readonly maxFiles: number;
  readonly compress: boolean;
  /** Values of the `tag` option and the like, written with each entry. */
  readonly attributes: Readonly<Record<string, string>>;
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const known = new Set(['max-size', 'max-file', 'compress', 'tag']);
const notSupported = new Set([
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'mode',
  'max-buffer-size',
]);

/** Checks `--log-opt` for the json-file driver; every fault names its option. */
export function parseJsonFileOptions(options: Readonly<Record<string, string>>): JsonFileOptions {
  for (const name of Object.keys(options)) {
    if (notSupported.has(name)) {
      throw new HyperError('UNSUPPORTED', `log opt '${name}' is not supported for json-file yet`);
    }
    if (!known.has(name)) {
      throw new HyperError(
        'INVALID_ARGUMENT',
        `unknown log opt '${name}' for json-file log driver`,
      );
    }
  }
  const maxSizeBytes = parseSize(options['max-size']);
  const maxFiles = parseMaxFiles(options['max-file']);
  const compress = parseCompress(options['compress']);
  if (maxSizeBytes === null && (maxFiles > 1 || compress)) {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `invalid log opt: ${compress ? 'compress' : 'max-file'} cannot be used without max-size`,
    );
  }
  const tag = options['tag'];
  if (tag?.includes('{{') === true) {
    throw new HyperError('UNSUPPORTED', `log opt 'tag': templates are not supported yet: "${tag}"`);
  }
  const attributes = tag === undefined || tag === '' ? {} : { tag };
  return { maxSizeBytes, maxFiles, compress, attributes };
}

function parseSize(text: string | undefined): number | null {
  if (text === undefined || text === '-1') return null;
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?$/i.exec(text);
  const bytes = Number(match?.[1]) * (units[match?.[2]?.toLowerCase() ?? ''] ?? Number.NaN);
  if (!(bytes > 0)) {
    throw new HyperError('INVALID_ARGUMENT', `invalid value for max-size: "${text}"`);
  }
  return Math.floor(bytes);
}

function parseMaxFiles(text: string | undefined): number {
  if (text === undefined) return 1;
  if (!/^[1-9]\d{0,3}$/.test(text)) {
    throw new HyperError('INVALID_ARGUMENT', `invalid value for max-file: "${text}": at least 1`);
  }
  return Number(text);
}

function parseCompress(text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw new HyperError('INVALID_ARGUMENT', `invalid value for compress: "${text}": true or false`);
}
