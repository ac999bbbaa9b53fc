import { PassThrough } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { filterQuery } from '../../../hyper-cli/commands/filters.ts';
import { formatTemplate } from '../../../hyper-cli/output/format.ts';
import { type ListRow, renderList } from '../../../hyper-cli/output/list.ts';
import { type ProgressMessage, ProgressView } from '../../../hyper-cli/output/progress.ts';
import {
  formatAge,
  formatBinarySize,
  formatSize,
  formatTable,
} from '../../../hyper-cli/output/table.ts';

describe('a table', () => {
  it('has columns as wide as their widest cell, and no blanks at the ends of lines', () => {
    const text = formatTable(
      ['ID', 'NAME', 'X'],
      [
        ['1', 'a longer one', ''],
        ['22', 'b', 'y'],
      ],
    );
    expect(text).toBe('ID   NAME           X\n1    a longer one\n22   b              y\n');
  });

  it('of nothing is its header', () => {
    expect(formatTable(['ID', 'NAME'], [])).toBe('ID   NAME\n');
  });
});

it.each([
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [4_260_000, '4.26MB'],
  [1_234_567_890, '1.23GB'],
  [5e15, '5000TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

it.each([
  [1023, '1023B'],
  [1024, '1KiB'],
  [5.25 * 1024 ** 2, '5.25MiB'],
  [1010 * 1024 ** 2, '1010MiB'],
  [2 * 1024 ** 3, '2GiB'],
])('%d bytes of memory are %s', (bytes, text) => {
  expect(formatBinarySize(bytes)).toBe(text);
});

it.each([
  [0.5, 'Less than a second'],
  [1, '1 second'],
  [59, '59 seconds'],
  [60, 'About a minute'],
  [150, '2 minutes'],
  [3600, 'About an hour'],
  [86_400, '1 day'],
  [14 * 86_400, '2 weeks'],
  [70 * 86_400, '2 months'],
  [800 * 86_400, '2 years'],
])('%d seconds are told as %s', (seconds, text) => {
  expect(formatAge(seconds * 1000)).toBe(text);
});

describe('a list', () => {
  const rows: readonly ListRow[] = [
    { id: '1', fields: { ID: '1', Names: 'a' }, cells: { NAME: 'a' } },
    { id: '2', fields: { ID: '2', Names: 'b' }, cells: { NAME: 'b' } },
  ];

  it.each([
    [{}, 'NAME\na\nb\n'],
    [{ quiet: true }, '1\n2\n'],
    [{ json: true }, '{"ID":"1","Names":"a"}\n{"ID":"2","Names":"b"}\n'],
    [{ format: 'json' }, '{"ID":"1","Names":"a"}\n{"ID":"2","Names":"b"}\n'],
    [{ format: '{{.ID}}:{{.Names}}' }, '1:a\n2:b\n'],
    [{ format: 'table {{.Names}}' }, 'a\nb\n'],
  ])('with %j is rendered as Docker does', (options, text) => {
    expect(renderList(['NAME'], rows, options)).toBe(text);
  });
});

describe('a template', () => {
  const value = { Name: 'Web', State: { Running: true, Pid: 7 }, Ports: [1, 2], None: null };

  it.each([
    ['{{.Name}}', 'Web'],
    ['{{ .State.Pid }}\\t{{.State.Running}}', '7\ttrue'],
    ['{{json .State}}', '{"Running":true,"Pid":7}'],
    ['{{json .}}', JSON.stringify(value)],
    ['{{upper .Name}}{{lower .Name}}{{len .Ports}}{{len .Name}}{{len .State}}', 'WEBweb232'],
    ['{{.Ports}} {{.None}}', '[1,2] null'],
    ['plain', 'plain'],
  ])('%s is filled', (template, text) => {
    expect(formatTemplate(template, value)).toBe(text);
  });

  it('that names an unknown field is refused, with the fields that there are as a hint', () => {
    expect(() => formatTemplate('{{.State.Nope}}', value)).toThrow(
      expect.objectContaining({
        message: '--format: there is no field .State.Nope',
        hint: 'fields here: Running, Pid',
      }),
    );
  });

  it('that does more than we know is refused by name', () => {
    expect(() => formatTemplate('{{range .Ports}}', value)).toThrow(
      '--format: cannot evaluate {{range .Ports}}',
    );
  });
});

describe('filters', () => {
  it('are gathered by name', () => {
    expect(filterQuery(['status=running', 'label=a=b', 'status=paused'])).toBe(
      '{"status":["running","paused"],"label":["a=b"]}',
    );
    expect(filterQuery([])).toBeUndefined();
  });

  it.each(['status', '=x'])('"%s" is refused', (filter) => {
    expect(() => filterQuery([filter])).toThrow(`--filter: "${filter}" is not name=value`);
  });
});

describe('progress', () => {
  const messages: readonly ProgressMessage[] = [
    { status: 'Pulling from library/busybox', id: 'latest' },
    { status: 'Downloading', id: 'aa', progressDetail: { current: 50, total: 100 } },
    { status: 'Pull complete', id: 'aa' },
    { status: 'Status: done' },
    { stream: 'Loaded image\n' },
  ];

  function shown(isTTY: boolean): string {
    const output = new PassThrough();
    const view = new ProgressView(
      Object.assign(output, { isTTY }) as unknown as NodeJS.WriteStream,
    );
    for (const message of messages) view.show(message);
    return String(output.read());
  }

  it('is one line for each change of state where there is no terminal', () => {
    expect(shown(false)).toBe(
      'latest: Pulling from library/busybox\naa: Pull complete\nStatus: done\nLoaded image\n',
    );
  });

  it('is redrawn in place with a bar on a terminal', () => {
    const text = shown(true);
    expect(text).toContain(`aa: Downloading [${'='.repeat(15)}${' '.repeat(15)}] 50 %`);
    expect(text).toContain('\u001b[2A');
  });
});
