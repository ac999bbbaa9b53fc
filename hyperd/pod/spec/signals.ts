import { HyperError } from '../../base/error.ts';

/** Linux signal numbers (the same on x86-64 and arm64) by name without SIG. */
const numbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
};

const lastSignal = 64;
const firstRealTime = 34;

/** Number of a signal given as `TERM`, `SIGTERM`, `RTMIN+3` or `15`; INVALID_ARGUMENT in Docker's words. */
export function parseSignal(text: string): number {
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= lastSignal) return number;
    throw invalidSignal(text);
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (Object.hasOwn(numbers, name)) return numbers[name] ?? 0;
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(`${realTime[2] ?? '+'}${realTime[3] ?? '0'}`);
    const number = (realTime[1] === 'MIN' ? firstRealTime : lastSignal) + offset;
    if (number >= firstRealTime && number <= lastSignal) return number;
  }
  throw invalidSignal(text);
}

function invalidSignal(text: string): HyperError {
  return new HyperError('INVALID_ARGUMENT', `invalid signal: ${text}`);
}
