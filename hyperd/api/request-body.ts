import { HyperError, messageOf } from '../base/error.ts';

/** Docker's create request with every option set is far below this. */
export const maxBodyBytes = 4 * 1024 * 1024;

/** Parses a JSON body; an empty one is `undefined`. Faults are told in Docker's words. */
export function parseJsonBody(text: string, contentType: string | undefined): unknown {
  if (text === '') {
    return undefined;
  }
  assertJsonType(contentType ?? '');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HyperError('INVALID_ARGUMENT', `invalid JSON: ${messageOf(cause)}`, { cause });
  }
}

/** Clients that name no type are forgiven; a wrong type is refused as Docker does. */
function assertJsonType(contentType: string): void {
  const mediaType = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (mediaType !== '' && mediaType !== 'application/json') {
    throw new HyperError(
      'INVALID_ARGUMENT',
      `unsupported Content-Type header (${contentType}): must be 'application/json'`,
    );
  }
}
