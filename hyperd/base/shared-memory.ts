/** Memory that a VM and the host have in common. A guest may change it at any moment, also while it is read. */
export interface SharedMemory {
  readonly bytes: number;
  /** A copy of what is there. */
  read(offset: number, length: number): Buffer;
  write(offset: number, bytes: Uint8Array): void;
}
