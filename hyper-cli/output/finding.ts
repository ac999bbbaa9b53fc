/** One thing that `hyper doctor` looked at. */
export interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'missing' | 'note';
  readonly found: string;
  /** Why it matters. */
  readonly reason: string;
  /** The command that mends it. */
  readonly remedy: string;
}

const marks = { ok: '✓', missing: '✗', note: '·' } as const;

/** One line of what is good; of the rest also why it matters and what mends it. */
export function describeFinding({ name, state, found, reason, remedy }: Finding): string {
  const line = `${marks[state]} ${name.padEnd(14)} ${found}\n`;
  return state === 'ok'
    ? line
    : `${line}    ${reason}\n${remedy === '' ? '' : `    → ${remedy}\n`}`;
}
