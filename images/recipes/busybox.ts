import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { run } from '../../hyperd/base/subprocess.ts';
import { readPackageFile } from '../debian-packages.ts';
import type { LayerTree } from '../layer-tree.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;

const group = `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
users:x:100:
nogroup:x:65534:
`;

/** One static binary with a hard link for each of its applets. */
export const busybox: Recipe = {
  config: { Cmd: ['sh'], Env: [pathVariable()] },
  layers: [
    {
      createdBy: "Debian's busybox-static",
      downloads: ['busybox-static'],
      async finish(tree, { debs: [deb = ''], scratchDirectory }) {
        const program = await readPackageFile(deb, 'usr/bin/busybox');
        tree.addFile('bin/busybox', program, 0o755);
        for (const applet of await listApplets(program, scratchDirectory)) {
          if (applet !== 'busybox') tree.addHardLink(`bin/${applet}`, 'bin/busybox');
        }
        addSkeleton(tree);
      },
    },
  ],
};

async function listApplets(program: Buffer, directory: string): Promise<readonly string[]> {
  const file = path.join(directory, 'busybox');
  await writeFile(file, program);
  await chmod(file, 0o755);
  const { stdout } = await run(file, ['--list']);
  return stdout.split('\n').filter((applet) => /^[\w.[\]-]+$/.test(applet));
}

function addSkeleton(tree: LayerTree): void {
  for (const directory of ['dev', 'proc', 'sys', 'run', 'usr/sbin', 'var/spool/mail', 'var/www']) {
    tree.addDirectory(directory);
  }
  tree.addSymlink('usr/bin/env', '../../bin/env');
  tree.addDirectory('root', 0o700);
  tree.addDirectory('home', 0o755, { uid: 65534, gid: 65534 });
  tree.addDirectory('tmp', 0o1777);
  tree.addDirectory('var/tmp', 0o1777);
  tree.addFile('etc/passwd', passwd);
  tree.addFile('etc/group', group);
  tree.addFile('etc/shadow', 'root:*:20454:0:99999:7:::\n', 0o640);
  tree.addFile('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n');
}
