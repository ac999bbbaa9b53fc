import { messageOf } from './request-error.ts';
import type { Sys } from './sys/sys.ts';

/** Wraps an event callback: what it throws goes to the console instead of ending PID 1. */
export function guard<A extends readonly unknown[]>(
  sys: Sys,
  event: string,
  callback: (...args: A) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      const stack = error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : '';
      sys.log(`hyperstart: handling ${event} failed: ${messageOf(error)}${stack}`);
    }
  };
}
