import { describe, expect, it } from 'vitest';

import { installedPackages, recordPackages } from '../../../images/dpkg-database.ts';
import { LayerTree } from '../../../images/layer-tree.ts';

const members = (files: Readonly<Record<string, string>>): ReadonlyMap<string, Buffer> =>
  new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)]));

const library = {
  fields: 'Package: libz\nVersion: 1\nArchitecture: amd64\nMulti-Arch: same\n',
  members: members({ control: 'x', postinst: '#!/bin/sh\n', triggers: 'activate ldconfig\n' }),
  paths: ['/.', '/usr/lib/libz.so'],
};
const program = {
  fields: 'Package: apt\nVersion: 2\nArchitecture: amd64\nDescription: a\n line two\n',
  members: members({
    conffiles: '/etc/apt.conf\n',
    triggers: '# comment\ninterest-noawait /usr/share/x\ninterest ldconfig\n',
  }),
  paths: ['/etc/apt.conf'],
};

function recorded(): LayerTree {
  const tree = new LayerTree();
  tree.addFile('etc/apt.conf', 'hello');
  recordPackages(tree, [library, program]);
  return tree;
}

describe('recordPackages', () => {
  it('writes the status of each package, sorted, with its fields kept', () => {
    const status = recorded().readText('var/lib/dpkg/status');
    expect(installedPackages(status)).toEqual(['apt', 'libz']);
    expect(status).toContain('Package: libz\nStatus: install ok installed\nVersion: 1\n');
    expect(status).toContain('Description: a\n line two\n');
    expect(status.endsWith('\n')).toBe(true);
  });

  it('records configuration files with their checksum as shipped', () => {
    const status = recorded().readText('var/lib/dpkg/status');
    expect(status).toContain('Conffiles:\n /etc/apt.conf 5d41402abc4b2a76b9719d911017c592\n');
  });

  it('keeps scripts and file lists under the name that dpkg uses', () => {
    const tree = recorded();
    expect(tree.readText('var/lib/dpkg/info/libz:amd64.list')).toBe('/.\n/usr/lib/libz.so\n');
    expect(tree.find('var/lib/dpkg/info/libz:amd64.postinst')?.mode).toBe(0o755);
    expect(tree.find('var/lib/dpkg/info/libz:amd64.control')).toBeUndefined();
    expect(tree.readText('var/lib/dpkg/info/apt.list')).toBe('/etc/apt.conf\n');
  });

  it('registers triggers by file and by name', () => {
    const tree = recorded();
    expect(tree.readText('var/lib/dpkg/triggers/File')).toBe('/usr/share/x apt/noawait\n');
    expect(tree.readText('var/lib/dpkg/triggers/ldconfig')).toBe('apt\n');
  });

  it('adds to what the layers beneath have', () => {
    const below = new LayerTree();
    recordPackages(below, [library]);
    const tree = new LayerTree(below);
    recordPackages(tree, [program]);
    expect(installedPackages(tree.readText('var/lib/dpkg/status'))).toEqual(['apt', 'libz']);
    expect(installedPackages(below.readText('var/lib/dpkg/status'))).toEqual(['libz']);
  });
});
