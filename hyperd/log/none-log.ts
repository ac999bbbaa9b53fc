import { HyperError } from '../base/error.ts';
import type { ContainerLog, ContainerLogConfig, LogEntry } from './container-log.ts';

/** `--log-driver none`: output goes to attached clients only. */
export class NoneLog implements ContainerLog {
  readonly driver = 'none';

  constructor(config: Pick<ContainerLogConfig, 'options'>) {
    const option = Object.keys(config.options)[0];
    if (option !== undefined) {
      throw new HyperError('INVALID_ARGUMENT', `unknown log opt '${option}' for none log driver`);
    }
  }

  write(): Promise<void> {
    return Promise.resolve();
  }

  async *read(): AsyncGenerator<LogEntry> {
    yield* await Promise.reject<readonly LogEntry[]>(
      new HyperError('INVALID_STATE', 'configured logging driver does not support reading'),
    );
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
