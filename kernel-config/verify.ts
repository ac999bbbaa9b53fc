import type { SymbolRequest } from './fragment.ts';

/**
 * Compares a final .config with what was asked for and tells every difference, one line each: Kconfig
 * drops a symbol silently when a dependency is missing, and selects others behind one's back.
 */
export function findDifferences(
  finalConfig: string,
  requests: readonly SymbolRequest[],
): readonly string[] {
  const final = new Map<string, string>();
  for (const line of finalConfig.split('\n')) {
    const match = /^(CONFIG_\w+)=(.+)$/.exec(line);
    if (match !== null) final.set(match[1] ?? '', match[2] ?? '');
  }
  return requests
    .filter(({ name, value }) => (final.get(name) ?? null) !== value)
    .map(({ name, value, origin }) => {
      const found = final.get(name) ?? 'not set';
      return `${origin}: ${name} should be ${value ?? 'not set'}, is ${found}`;
    });
}
