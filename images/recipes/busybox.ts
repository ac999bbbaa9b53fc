import path from 'node:path';
import { readFile } from 'node:fs/promises';

import { run } from '../../hyperd/base/subprocess.ts';
import { defaultPath, type Recipe } from '../recipe.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
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
www-data:x:33:
users:x:100:
nogroup:x:65534:
`;

/** One static binary and a link for each of its applets. */
export const busybox: Recipe = {
  config: { Cmd: ['sh'], Env: [defaultPath] },
  layers: [
    {
      createdBy: 'busybox-static of Debian',
      packages: [],
      async finish(tree, { archive, scratchDirectory }) {
        const [deb = ''] = await archive.download(['busybox-static']);
        await run('dpkg-deb', ['--extract', deb, scratchDirectory]);
        const binary = path.join(scratchDirectory, 'usr/bin/busybox');
        tree.addFile('bin/busybox', await readFile(binary), 0o755);
        const { stdout } = await run(binary, ['--list']);
        for (const applet of stdout.split('\n')) {
          if (applet !== '' && applet !== 'busybox') tree.addSymlink(`bin/${applet}`, 'busybox');
        }
        tree.addDirectory('root', 0o700);
        tree.addDirectory('tmp', 0o1777);
        tree.addDirectory('var/tmp', 0o1777);
        tree.addDirectory('var/spool/mail');
        tree.addDirectory('home', 0o755, { uid: 65534, gid: 65534 });
        tree.addDirectory('dev');
        tree.addDirectory('proc');
        tree.addDirectory('sys');
        tree.addDirectory('usr/sbin');
        tree.addSymlink('usr/bin/env', '../../bin/env');
        tree.addFile('etc/passwd', passwd);
        tree.addFile('etc/group', group);
        tree.addFile('etc/shadow', 'root:*::0:::::\n', 0o640);
      },
    },
  ],
};
