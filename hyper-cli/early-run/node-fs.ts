/** Stands in for node:fs: a call that reads files is left to Node. */
export function readFileSync(): never {
  throw new Error('there are no files here');
}
