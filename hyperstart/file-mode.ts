import type { FileStatus } from './sys/sys.ts';

const typeMask = 0o170000;

/** File type bits of `FileStatus.mode` and of makeNode. */
export const FileType = {
  characterDevice: 0o020000,
  directory: 0o040000,
  blockDevice: 0o060000,
  regular: 0o100000,
  symbolicLink: 0o120000,
} as const;

export function isDirectory(status: FileStatus): boolean {
  return (status.mode & typeMask) === FileType.directory;
}

export function isRegularFile(status: FileStatus): boolean {
  return (status.mode & typeMask) === FileType.regular;
}

export function isSymbolicLink(status: FileStatus): boolean {
  return (status.mode & typeMask) === FileType.symbolicLink;
}

export function isDevice(status: FileStatus): boolean {
  const type = status.mode & typeMask;
  return type === FileType.characterDevice || type === FileType.blockDevice;
}
