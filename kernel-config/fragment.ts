/** One requested symbol: `CONFIG_NAME=value`, or null for `# CONFIG_NAME is not set`. */
export interface SymbolRequest {
  readonly name: string;
  readonly value: string | null;
  /** Where it is asked for, `base.conf:12`. */
  readonly origin: string;
}

/** Parses a fragment (kernel .config syntax). Throws on a line that is neither symbol nor comment, and on a symbol asked for twice with different values. */
export function parseFragment(fileName: string, text: string): readonly SymbolRequest[] {
  const requests: SymbolRequest[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const origin = `${fileName}:${String(index + 1)}`;
    const set = /^(CONFIG_[A-Z0-9_a-z]+)=(.+)$/.exec(line);
    const unset = /^# (CONFIG_[A-Z0-9_a-z]+) is not set$/.exec(line);
    if (set === null && unset === null) {
      if (line === '' || /^#( |$)/.test(line)) continue;
      throw new Error(`${origin}: neither a symbol nor a comment: ${line}`);
    }
    requests.push({ name: set?.[1] ?? unset?.[1] ?? '', value: set?.[2] ?? null, origin });
  }
  return mergeFragments([requests]);
}

/**
 * Joins fragments into one list, each symbol once. Throws on a symbol asked for with different values;
 * only `overrides` may change what the fragments say.
 */
export function mergeFragments(
  fragments: readonly (readonly SymbolRequest[])[],
  overrides: readonly SymbolRequest[] = [],
): readonly SymbolRequest[] {
  const merged = new Map<string, SymbolRequest>();
  for (const request of fragments.flat()) {
    const earlier = merged.get(request.name);
    if (earlier !== undefined && earlier.value !== request.value) {
      throw new Error(`${request.origin}: ${request.name} contradicts ${earlier.origin}`);
    }
    merged.set(request.name, earlier ?? request);
  }
  for (const request of overrides) merged.set(request.name, request);
  return [...merged.values()];
}

/** The requests in the kernel's own syntax, for merge_config.sh. */
export function formatRequests(requests: readonly SymbolRequest[]): string {
  return requests
    .map(({ name, value }) => (value === null ? `# ${name} is not set\n` : `${name}=${value}\n`))
    .join('');
}
