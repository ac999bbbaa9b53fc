import { HyperError } from '../base/error.ts';
import type { ContainerLog, ContainerLogConfig } from './container-log.ts';
import { openJsonFileLog } from './json-file-log.ts';
import { NoneLog } from './none-log.ts';

/** Log drivers, by the name that `--log-driver` takes. */
export const logDriverNames = ['json-file', 'none'] as const;

/**
 * Opens a container's log. Rejects INVALID_ARGUMENT for an unknown driver or option, so calling it
 * at create is also the validation.
 */
export async function openContainerLog(config: ContainerLogConfig): Promise<ContainerLog> {
  switch (config.driver) {
    case '':
    case 'json-file':
      return openJsonFileLog(config);
    case 'none':
      return new NoneLog(config);
    default:
      throw new HyperError(
        'INVALID_ARGUMENT',
        `logger: no log driver named '${config.driver}' is registered`,
      );
  }
}
