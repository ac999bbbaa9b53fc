/** One requested symbol: `CONFIG_NAME=value`, or null for `# CONFIG_NAME is not set`. */
export interface SymbolRequest {
  readonly name: string;
  readonly value: string | null;
  /** Where it is asked for, `base.conf:12`. */
  readonly origin: string;
}

/** Parses a fragment (kernel .config syntax). Throws on a line that is neither symbol nor comment, and on a symbol asked for twice with different values. */
export function parseFragment(fileName: string, text: string): readonly SymbolRequest[] {
  const requests = new Map<string, SymbolRequest>();
  for (const [index, line] of text.split('\n').entries()) {
    const origin = `${fileName}:${String(index + 1)}`;
    const set = /^(CONFIG_[A-Z0-9_a-z]+)=(.+)$/.exec(line);
    const unset = /^# (CONFIG_[A-Z0-9_a-z]+) is not set$/.exec(line);
    if (set === null && unset === null) {
      if (line === '' || /^#( |$)/.test(line)) continue;
      throw new Error(`${origin}: neither a symbol nor a comment: ${line}`);
    }
    const name = set?.[1] ?? unset?.[1] ?? '';
    const request = { name, value: set?.[2] ?? null, origin };
    const earlier = requests.get(name);
    if (earlier !== undefined && earlier.value !== request.value) {
      throw new Error(`${origin}: ${name} contradicts ${earlier.origin}`);
    }
    requests.set(name, request);
  }
  return [...requests.values()];
}

/** The requests in the kernel's own syntax, for merge_config.sh. */
export function formatRequests(requests: readonly SymbolRequest[]): string {
  return requests
    .map(({ name, value }) => (value === null ? `# ${name} is not set\n` : `${name}=${value}\n`))
    .join('');
}
