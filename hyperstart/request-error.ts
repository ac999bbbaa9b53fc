import type { AgentErrorCode } from './protocol/message.ts';
import { SysError } from './sys/sys.ts';

/** A failure that is told to hyperd: what was being done, to what, and why it failed. */
export class RequestError extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string) {
    super(message);
    this.name = 'RequestError';
    this.code = code;
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** True for a failed system call with one of these error names. */
export function isErrno(thrown: unknown, ...names: readonly string[]): thrown is SysError {
  return thrown instanceof SysError && names.includes(thrown.errno);
}

/** Runs a step; a failed system call in it becomes a RequestError that says what was being done. */
export function during<T>(action: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof SysError) {
      throw new RequestError('INTERNAL', `${action}: ${error.message}`);
    }
    throw error;
  }
}
