export const ENOENT = 2;
export const EEXIST = 17;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const EMFILE = 24;
export const ENAMETOOLONG = 36;
export const ELOOP = 40;

/** Names and texts of error numbers, which all Linux architectures but a few share. */
const errors: Readonly<Record<number, readonly [name: string, text: string]>> = {
  1: ['EPERM', 'Operation not permitted'],
  2: ['ENOENT', 'No such file or directory'],
  3: ['ESRCH', 'No such process'],
  4: ['EINTR', 'Interrupted system call'],
  5: ['EIO', 'I/O error'],
  6: ['ENXIO', 'No such device or address'],
  7: ['E2BIG', 'Argument list too long'],
  8: ['ENOEXEC', 'Exec format error'],
  9: ['EBADF', 'Bad file descriptor'],
  10: ['ECHILD', 'No child process'],
  11: ['EAGAIN', 'Resource temporarily unavailable'],
  12: ['ENOMEM', 'Out of memory'],
  13: ['EACCES', 'Permission denied'],
  14: ['EFAULT', 'Bad address'],
  15: ['ENOTBLK', 'Block device required'],
  16: ['EBUSY', 'Resource busy'],
  17: ['EEXIST', 'File exists'],
  18: ['EXDEV', 'Cross-device link'],
  19: ['ENODEV', 'No such device'],
  20: ['ENOTDIR', 'Not a directory'],
  21: ['EISDIR', 'Is a directory'],
  22: ['EINVAL', 'Invalid argument'],
  23: ['ENFILE', 'Too many open files in system'],
  24: ['EMFILE', 'No file descriptors available'],
  25: ['ENOTTY', 'Not a tty'],
  26: ['ETXTBSY', 'Text file busy'],
  27: ['EFBIG', 'File too large'],
  28: ['ENOSPC', 'No space left on device'],
  29: ['ESPIPE', 'Invalid seek'],
  30: ['EROFS', 'Read-only file system'],
  31: ['EMLINK', 'Too many links'],
  32: ['EPIPE', 'Broken pipe'],
  34: ['ERANGE', 'Result not representable'],
  36: ['ENAMETOOLONG', 'Filename too long'],
  38: ['ENOSYS', 'Function not implemented'],
  39: ['ENOTEMPTY', 'Directory not empty'],
  40: ['ELOOP', 'Symbolic link loop'],
  61: ['ENODATA', 'No data available'],
  74: ['EBADMSG', 'Bad message'],
  75: ['EOVERFLOW', 'Value too large for data type'],
  80: ['ELIBBAD', 'Accessing a corrupted shared library'],
  90: ['EMSGSIZE', 'Message too large'],
  95: ['EOPNOTSUPP', 'Not supported'],
  98: ['EADDRINUSE', 'Address in use'],
  99: ['EADDRNOTAVAIL', 'Address not available'],
  100: ['ENETDOWN', 'Network is down'],
  101: ['ENETUNREACH', 'Network unreachable'],
  104: ['ECONNRESET', 'Connection reset by peer'],
  105: ['ENOBUFS', 'No buffer space available'],
  110: ['ETIMEDOUT', 'Operation timed out'],
  111: ['ECONNREFUSED', 'Connection refused'],
  113: ['EHOSTUNREACH', 'Host is unreachable'],
  117: ['EUCLEAN', 'Structure needs cleaning'],
};

/** The name, or `E` and the number for one that has none here. */
export function errnoName(errno: number): string {
  return errors[errno]?.[0] ?? `E${String(errno)}`;
}

/** What the error means, for people. */
export function errnoText(errno: number): string {
  return errors[errno]?.[1] ?? `Error ${String(errno)}`;
}
