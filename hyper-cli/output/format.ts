import { CliError } from '../cli-error.ts';

/** Fills a Go template of the simple kind: `{{.Name}}`, `{{.State.Status}}`, `{{json .Config}}`, `{{upper .Name}}`. */
export function formatTemplate(template: string, value: unknown): string {
  return template
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n')
    .replace(/\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => evaluate(expression, value));
}

function evaluate(expression: string, value: unknown): string {
  const match = /^(?:(json|upper|lower|len)\s+)?((?:\.[A-Za-z0-9_]+)+|\.)$/.exec(expression);
  if (match === null) {
    throw new CliError(`--format: cannot evaluate {{${expression}}}`, {
      hint: 'use {{.Field}}, {{.Field.Inner}}, {{json .Field}}, {{upper .Field}}, {{lower .Field}} or {{len .Field}}',
    });
  }
  const found = lookup(
    value,
    (match[2] ?? '.').split('.').filter((part) => part !== ''),
  );
  switch (match[1]) {
    case 'json':
      return JSON.stringify(found ?? null);
    case 'upper':
      return show(found).toUpperCase();
    case 'lower':
      return show(found).toLowerCase();
    case 'len':
      return String(
        Array.isArray(found) || typeof found === 'string'
          ? found.length
          : Object.keys(found ?? {}).length,
      );
    default:
      return show(found);
  }
}

function lookup(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const name of path) {
    if (typeof current !== 'object' || current === null || !(name in current)) {
      throw new CliError(`--format: there is no field .${path.join('.')}`, {
        hint: `fields here: ${Object.keys(current ?? {}).join(', ')}`,
      });
    }
    current = (current as Record<string, unknown>)[name];
  }
  return current;
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
