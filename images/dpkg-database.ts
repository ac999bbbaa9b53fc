import { createHash } from 'node:crypto';

import type { LayerTree } from './layer-tree.ts';
import { mergedPath } from './package-path.ts';

/** What a Debian package brings besides its files. */
export interface PackageControl {
  /** The fields, as `dpkg-deb --field` prints them. */
  readonly fields: string;
  /** The members of its control archive by name: scripts, md5sums, conffiles, triggers … */
  readonly members: ReadonlyMap<string, Buffer>;
  /** All paths of the package, absolute. */
  readonly paths: readonly string[];
}

const database = 'var/lib/dpkg';
const executable = /^(?:preinst|postinst|prerm|postrm|config)$/;

/** The names of the installed packages. */
export function installedPackages(status: string): readonly string[] {
  return [...status.matchAll(/^Package: (.+)$/gm)].map((match) => match[1] ?? '');
}

/**
 * Records packages as installed, so that dpkg and apt in the image know them. Must run before a
 * recipe changes their files: configuration files are recorded as shipped.
 */
export function recordPackages(tree: LayerTree, packages: readonly PackageControl[]): void {
  const present = tree.find(`${database}/status`)?.content.toString('utf8') ?? '';
  const stanzas = present.split('\n\n').filter((stanza) => stanza.trim() !== '');
  const added = packages.map((control) => statusStanza(tree, control));
  const all = [...stanzas.map((stanza) => stanza.trimEnd()), ...added].sort(byPackage);
  tree.addFile(`${database}/status`, all.map((stanza) => `${stanza}\n`).join('\n'));
  tree.addFile(`${database}/info/format`, '1\n');
  for (const control of packages) {
    addInfo(tree, control);
    addTriggers(tree, control);
  }
}

/** The value of a one-line control field. */
function field(fields: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(fields)?.[1];
}

function byPackage(a: string, b: string): number {
  return (field(a, 'Package') ?? '') < (field(b, 'Package') ?? '') ? -1 : 1;
}

function statusStanza(tree: LayerTree, { fields, members }: PackageControl): string {
  const [first = '', ...rest] = fields.trimEnd().split('\n');
  const configuration = (members.get('conffiles')?.toString('utf8') ?? '')
    .split('\n')
    .filter((line) => line.startsWith('/'))
    .map((file) => ` ${file} ${md5(tree, file)}`);
  const conffiles = configuration.length === 0 ? [] : ['Conffiles:', ...configuration];
  return [first, 'Status: install ok installed', ...rest, ...conffiles].join('\n');
}

function md5(tree: LayerTree, file: string): string {
  const content = tree.find(mergedPath(file.slice(1)))?.content ?? Buffer.alloc(0);
  return createHash('md5').update(content).digest('hex');
}

function addInfo(tree: LayerTree, { fields, members, paths }: PackageControl): void {
  const name = field(fields, 'Package') ?? '';
  const isSame = field(fields, 'Multi-Arch') === 'same';
  const prefix = `${database}/info/${isSame ? `${name}:${field(fields, 'Architecture') ?? ''}` : name}`;
  tree.addFile(`${prefix}.list`, paths.map((path) => `${path}\n`).join(''));
  for (const [member, content] of members) {
    if (member === 'control') continue;
    tree.addFile(`${prefix}.${member}`, content, executable.test(member) ? 0o755 : 0o644);
  }
}

/** Files that packages watch are listed in triggers/File, other triggers have a file of their own. */
function addTriggers(tree: LayerTree, { fields, members }: PackageControl): void {
  const name = field(fields, 'Package') ?? '';
  const text = members.get('triggers')?.toString('utf8') ?? '';
  for (const [, kind, trigger = ''] of text.matchAll(/^interest(-await|-noawait)?\s+(\S+)/gm)) {
    const watcher = kind === '-noawait' ? `${name}/noawait` : name;
    const isFile = trigger.startsWith('/');
    const path = `${database}/triggers/${isFile ? 'File' : trigger}`;
    const known = tree.find(path)?.content.toString('utf8') ?? '';
    tree.addFile(path, `${known}${isFile ? `${trigger} ${watcher}` : watcher}\n`);
  }
}
