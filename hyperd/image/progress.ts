const progressIntervalMs = 100;

/** Lets the first call through, then one in a tenth of a second. */
export function throttled(report: (current: number) => void): (current: number) => void {
  let last = 0;
  return (current) => {
    const now = Date.now();
    if (now - last < progressIntervalMs) return;
    last = now;
    report(current);
  };
}
