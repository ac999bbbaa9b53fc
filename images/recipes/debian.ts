import { lockedShadow, withAccounts } from '../accounts.ts';
import type { LayerTree } from '../layer-tree.ts';
import { defaultPath, type LayerRecipe, type Recipe } from '../recipe.ts';

/** The base of the larger images: Debian's essential packages, without what needs no container. */
export const debianLayer: LayerRecipe = {
  createdBy: "Debian's essential packages, apt, without documentation",
  packages: [
    ...['base-files', 'base-passwd', 'bash', 'bsdutils', 'coreutils', 'dash', 'debianutils'],
    ...['diffutils', 'dpkg', 'findutils', 'grep', 'gzip', 'hostname', 'init-system-helpers'],
    ...['libc-bin', 'login.defs', 'ncurses-base', 'ncurses-bin', 'perl-base', 'sed', 'tar'],
    ...['util-linux', 'apt', 'debian-archive-keyring', 'mawk', 'passwd', 'tzdata'],
  ],
  finish(tree) {
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) tree.addSymlink(name, `usr/${name}`);
    tree.addSymlink('usr/bin/sh', 'dash');
    tree.addSymlink('usr/bin/awk', 'mawk');
    tree.addSymlink('etc/localtime', '/usr/share/zoneinfo/Etc/UTC');
    tree.addSymlink('etc/mtab', '/proc/mounts');
    for (const directory of ['dev', 'proc', 'sys', 'run', 'mnt', 'media', 'opt', 'srv']) {
      tree.addDirectory(directory);
    }
    tree.addDirectory('tmp', 0o1777);
    tree.addDirectory('var/tmp', 0o1777);
    tree.addDirectory('root', 0o700);
    tree.addFile('root/.bashrc', readText(tree, 'usr/share/base-files/dot.bashrc'));
    tree.addFile('root/.profile', readText(tree, 'usr/share/base-files/dot.profile'));
    const accounts = withAccounts(
      {
        passwd: readText(tree, 'usr/share/base-passwd/passwd.master').replaceAll(':*:', ':x:'),
        group: readText(tree, 'usr/share/base-passwd/group.master').replaceAll(':*:', ':x:'),
      },
      [{ name: '_apt', id: 42, home: '/nonexistent' }],
    );
    tree.addFile('etc/passwd', accounts.passwd);
    tree.addFile('etc/group', accounts.group);
    tree.addFile('etc/shadow', lockedShadow(accounts.passwd), 0o640, { gid: 42 });
    tree.addFile(
      'etc/nsswitch.conf',
      'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n',
    );
    tree.addFile('etc/host.conf', 'multi on\n');
    tree.addFile('etc/shells', '/bin/sh\n/bin/bash\n/bin/dash\n');
    tree.addDirectory('var/lib/dpkg/updates');
    tree.addFile('var/lib/dpkg/available', '');
    tree.addDirectory('var/lib/apt/lists/partial');
    tree.addDirectory('var/cache/apt/archives/partial');
    tree.addDirectory('var/log/apt');
  },
};

export const debian: Recipe = {
  config: { Cmd: ['bash'], Env: [defaultPath] },
  layers: [debianLayer],
};

function readText(tree: LayerTree, path: string): string {
  return tree.read(path)?.toString('utf8') ?? '';
}
