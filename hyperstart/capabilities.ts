import { capabilityNames } from './protocol/capability-names.ts';
import { RequestError } from './request-error.ts';

const numbers = new Map<string, number>(
  capabilityNames.map((name, index) => [`CAP_${name}`, index]),
);

/** The two 32-bit halves of the mask of the named capabilities. */
export function capabilityMask(capabilities: readonly string[]): { low: number; high: number } {
  let low = 0;
  let high = 0;
  for (const name of capabilities) {
    const number = numbers.get(name);
    if (number === undefined) {
      throw new RequestError('INVALID_ARGUMENT', `unknown capability ${JSON.stringify(name)}`);
    }
    if (number < 32) low |= 1 << number;
    else high |= 1 << (number - 32);
  }
  return { low: low >>> 0, high: high >>> 0 };
}
