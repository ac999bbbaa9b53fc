import { describe, expect, it } from 'vitest';

import { LayerTree } from '../../../images/layer-tree.ts';

const paths = (tree: LayerTree): readonly string[] => tree.sorted().map(([path]) => path);

describe('LayerTree', () => {
  it('adds the parents of a file', () => {
    const tree = new LayerTree();
    tree.addFile('etc/apt/sources.list', '');
    expect(paths(tree)).toEqual(['etc', 'etc/apt', 'etc/apt/sources.list']);
    expect(tree.find('etc/apt')).toMatchObject({ type: 'directory', mode: 0o755, uid: 0 });
  });

  it('takes parents as they are in the layer beneath', () => {
    const below = new LayerTree();
    below.addDirectory('var/tmp', 0o1777, { uid: 5, gid: 6 });
    const tree = new LayerTree(below);
    tree.addFile('var/tmp/x', '');
    const [, directory] = tree.sorted().find(([path]) => path === 'var/tmp')!;
    expect(directory).toMatchObject({ type: 'directory', mode: 0o1777, uid: 5, gid: 6 });
  });

  it('lets the later file win', () => {
    const tree = new LayerTree();
    tree.addFile('a', 'first');
    tree.addFile('a', 'second', 0o600);
    expect(tree.readText('a')).toBe('second');
    expect(tree.find('a')?.mode).toBe(0o600);
  });

  it('reads through to the layer beneath without taking its files', () => {
    const below = new LayerTree();
    below.addFile('etc/passwd', 'root');
    const tree = new LayerTree(below);
    expect(tree.readText('etc/passwd')).toBe('root');
    expect(paths(tree)).toEqual([]);
  });

  it('names the file that is missing', () => {
    expect(() => new LayerTree().readText('etc/nothing')).toThrow(/etc\/nothing/);
  });

  it('puts hard links after the files they name, and reads through them', () => {
    const tree = new LayerTree();
    tree.addFile('bin/busybox', 'program', 0o755);
    tree.addHardLink('bin/ash', 'bin/busybox');
    tree.addFile('bin/zzz', '');
    expect(paths(tree)).toEqual(['bin', 'bin/busybox', 'bin/zzz', 'bin/ash']);
    expect(tree.readText('bin/ash')).toBe('program');
    expect(tree.find('bin/ash')?.mode).toBe(0o755);
  });

  it('refuses a hard link to a file of another layer', () => {
    const below = new LayerTree();
    below.addFile('a', '');
    expect(() => {
      new LayerTree(below).addHardLink('b', 'a');
    }).toThrow(/hard link/);
  });
});
