import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';

import { addLayer, addPackageFiles, fixedTime, packLayer } from '../../../images/layer-tar.ts';
import { LayerTree } from '../../../images/layer-tree.ts';

type Member = Partial<Header> & Pick<Header, 'name'> & { readonly content?: string };

function tarOf(...members: readonly Member[]): Readable {
  const writer = pack();
  for (const { content = '', ...header } of members) writer.entry(header, content);
  writer.finalize();
  return Readable.from(writer);
}

describe('addPackageFiles', () => {
  it('moves old paths into /usr, for hard links too', async () => {
    const tree = new LayerTree();
    await addPackageFiles(
      tree,
      tarOf(
        { name: './bin/gzip', mode: 0o755, content: 'gz' },
        { name: './bin/gunzip', type: 'link', linkname: './bin/gzip' },
        { name: './bin/zip', type: 'symlink', linkname: 'gzip' },
      ),
    );
    expect(tree.readText('usr/bin/gzip')).toBe('gz');
    expect(tree.readText('usr/bin/gunzip')).toBe('gz');
    expect(tree.find('usr/bin/zip')).toMatchObject({ type: 'symlink', target: 'gzip' });
    expect(tree.find('bin')).toBeUndefined();
  });

  it('drops directories that are links on a merged system', async () => {
    const below = new LayerTree();
    below.addSymlink('bin', 'usr/bin');
    const tree = new LayerTree(below);
    await addPackageFiles(tree, tarOf({ name: './bin/', type: 'directory' }));
    expect(tree.sorted()).toEqual([]);
  });

  it('keeps the mode of the first package that ships a directory', async () => {
    const tree = new LayerTree();
    await addPackageFiles(tree, tarOf({ name: './tmp/', type: 'directory', mode: 0o1777 }));
    await addPackageFiles(tree, tarOf({ name: './tmp/', type: 'directory', mode: 0o755 }));
    expect(tree.find('tmp')?.mode).toBe(0o1777);
  });

  it('keeps owners and special modes', async () => {
    const tree = new LayerTree();
    await addPackageFiles(tree, tarOf({ name: './usr/bin/su', mode: 0o4755, uid: 1, gid: 42 }));
    expect(tree.find('usr/bin/su')).toMatchObject({ mode: 0o4755, uid: 1, gid: 42 });
  });

  it('lists all paths as dpkg does but leaves out documentation', async () => {
    const tree = new LayerTree();
    const listed = await addPackageFiles(
      tree,
      tarOf(
        { name: './', type: 'directory' },
        { name: './usr/share/man/man1/ls.1.gz' },
        { name: './bin/ls' },
      ),
    );
    expect(listed).toEqual(['/.', '/usr/share/man/man1/ls.1.gz', '/bin/ls']);
    expect(tree.find('usr/share/man/man1/ls.1.gz')).toBeUndefined();
  });

  it('refuses devices', async () => {
    const tar = tarOf({ name: './dev/sda', type: 'block-device', devmajor: 8 });
    await expect(addPackageFiles(new LayerTree(), tar)).rejects.toThrow(/block-device/);
  });

  it('fails on a tar that ends too early', async () => {
    const whole = await buffer(tarOf({ name: './a', content: 'x'.repeat(2000) }));
    const cut = Readable.from([whole.subarray(0, 1000)]);
    await expect(addPackageFiles(new LayerTree(), cut)).rejects.toThrow(/end/i);
  });
});

describe('packLayer', () => {
  it('gives the same bytes whatever the order of additions', async () => {
    const first = new LayerTree();
    first.addFile('b', '2');
    first.addFile('a/x', '1');
    const second = new LayerTree();
    second.addFile('a/x', '1');
    second.addFile('b', '2');
    expect(await buffer(packLayer(first))).toEqual(await buffer(packLayer(second)));
  });

  it('gives a tar that reads back as the same tree', async () => {
    const tree = new LayerTree();
    tree.addFile(`usr/${'long/'.repeat(40)}name`, 'content', 0o4711, { uid: 1000, gid: 50 });
    tree.addFile('bin', 'program');
    tree.addHardLink('sh', 'bin');
    tree.addSymlink('etc/ü', '/nowhere');
    tree.addDirectory('tmp', 0o1777);
    const copy = new LayerTree();
    await addLayer(copy, packLayer(tree));
    const described = (from: LayerTree): unknown =>
      from.sorted().map(([path, entry]) => [path, { ...entry, mode: entry.mode.toString(8) }]);
    expect(described(copy)).toEqual(described(tree));
  });

  it('stamps every file with the fixed time', async () => {
    const tree = new LayerTree();
    tree.addFile('a', '');
    const tar = await buffer(packLayer(tree));
    const mtime = parseInt(tar.subarray(136, 147).toString('latin1'), 8);
    expect(mtime * 1000).toBe(fixedTime.getTime());
  });
});
