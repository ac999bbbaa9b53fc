import type { Command } from 'commander';

import { formatTable } from './table.ts';
import { formatTemplate } from './format.ts';

/** One row of a list: the table's cells by header, and the same as fields for templates and JSON. */
export interface ListRow {
  readonly cells: Readonly<Record<string, string>>;
  readonly id: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface ListOptions {
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly format?: string;
}

/** Adds the options that every listing command has. */
export function withListOptions(command: Command): Command {
  return command
    .option('-q, --quiet', 'only ids')
    .option('--json', 'one JSON object a line')
    .option('--format <template>', 'Go template, such as "{{.ID}} {{.Names}}", or json');
}

/** Prints rows in the way asked for. */
export function printList(
  header: readonly string[],
  rows: readonly ListRow[],
  options: ListOptions,
): void {
  process.stdout.write(renderList(header, rows, options));
}

export function renderList(
  header: readonly string[],
  rows: readonly ListRow[],
  options: ListOptions,
): string {
  if (options.quiet === true) return rows.map(({ id }) => `${id}\n`).join('');
  if (options.json === true || options.format === 'json') {
    return rows.map(({ fields }) => `${JSON.stringify(fields)}\n`).join('');
  }
  if (options.format !== undefined) {
    const template = options.format.replace(/^table\s+/, '');
    return rows.map(({ fields }) => `${formatTemplate(template, fields)}\n`).join('');
  }
  return formatTable(
    header,
    rows.map(({ cells }) => header.map((name) => cells[name] ?? '')),
  );
}
