let last = 0n;

/** The wall clock in nanoseconds; later calls always get later times. */
export function nowUnixNanos(): bigint {
  const now = BigInt(Date.now()) * 1_000_000n;
  last = now > last ? now : last + 1000n;
  return last;
}
