import type { LayerTree } from './layer-tree.ts';

/** A choice that a package's script would register with update-alternatives; the only one of its name. */
export interface Alternative {
  readonly name: string;
  readonly link: string;
  readonly program: string;
  readonly priority: number;
  /** Further links that follow the choice: name, link, program. */
  readonly followers?: readonly (readonly [name: string, link: string, program: string])[];
}

/** Makes the links of an alternative and its record in dpkg's database. */
export function addAlternative(tree: LayerTree, alternative: Alternative): void {
  const { name, link, program, priority, followers = [] } = alternative;
  for (const [linkName, from, to] of [[name, link, program] as const, ...followers]) {
    tree.addSymlink(from.slice(1), `/etc/alternatives/${linkName}`);
    tree.addSymlink(`etc/alternatives/${linkName}`, to);
  }
  const record = [
    ...['auto', link],
    ...followers.flatMap(([followerName, from]) => [followerName, from]),
    ...['', program, String(priority)],
    ...followers.map(([, , to]) => to),
    ...['', ''],
  ];
  tree.addFile(`var/lib/dpkg/alternatives/${name}`, record.join('\n'));
}
