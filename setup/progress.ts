/** Reports one step of the set-up to the person who waits for it. */
export function step(message: string): void {
  process.stderr.write(`==> ${message}\n`);
}
