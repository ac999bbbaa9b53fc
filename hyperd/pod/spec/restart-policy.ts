import { HyperError } from '../../base/error.ts';
import type { HostConfig } from '../docker-config.ts';

export type RestartPolicyName = 'no' | 'always' | 'on-failure' | 'unless-stopped';

export interface RestartPolicy {
  readonly name: RestartPolicyName;
  /** Of `on-failure`; 0: without end. */
  readonly maximumRetries: number;
}

const names: readonly RestartPolicyName[] = ['no', 'always', 'on-failure', 'unless-stopped'];

/** Reads `--restart`, with Docker's refusals. */
export function parseRestartPolicy(host: HostConfig): RestartPolicy {
  const { Name: text = '', MaximumRetryCount: retries = 0 } = host.RestartPolicy ?? {};
  const name = text === '' ? 'no' : names.find((known) => known === text);
  if (name === undefined) {
    throw invalid(
      `unknown policy '${text}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (retries < 0) throw invalid('maximum retry count cannot be negative');
  if (retries > 0 && name !== 'on-failure') {
    throw invalid("maximum retry count can only be used with 'on-failure'");
  }
  if (host.AutoRemove === true && name !== 'no') {
    throw new HyperError(
      'INVALID_ARGUMENT',
      "can't create 'AutoRemove' container with restart policy",
    );
  }
  return { name, maximumRetries: retries };
}

function invalid(reason: string): HyperError {
  return new HyperError('INVALID_ARGUMENT', `invalid restart policy: ${reason}`);
}
