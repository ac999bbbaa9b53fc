/** Smaller buffers may be cut from a block that they share. */
const ownBlockBytes = 16 * 1024;

/**
 * Frees the memory of a buffer that nobody uses any more and that has a block of its own, as those have which
 * were read from a connection. V8 looks through all of its heap whenever some 20 MiB of such blocks have come
 * together: bulk that is left to it costs more in collections than in all else.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  if (isOwn && byteLength >= ownBlockBytes) buffer.transfer(0);
}
