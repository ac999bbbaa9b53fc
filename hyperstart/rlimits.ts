import type { Rlimit } from './protocol/message.ts';
import { RequestError } from './request-error.ts';
import type { SpawnOptions } from './sys/sys.ts';

/** RLIMIT_* numbers of Linux by Docker's names. */
const resources: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

/** Names turned into numbers; -1 stays the word for unlimited. */
export function resourceLimits(limits: readonly Rlimit[]): SpawnOptions['rlimits'] {
  return limits.map(({ type, soft, hard }) => {
    const resource = Object.hasOwn(resources, type) ? resources[type] : undefined;
    if (resource === undefined) {
      throw new RequestError('INVALID_ARGUMENT', `unknown ulimit ${JSON.stringify(type)}`);
    }
    return { resource, soft, hard };
  });
}
