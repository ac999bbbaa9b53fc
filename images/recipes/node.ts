import { addAlternative } from '../alternatives.ts';
import { addCertificateBundle } from '../certificates.ts';
import { readOwnFile } from '../own-file.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

/** Node.js; `docker run node app.js` runs a script, any other command runs as it is. */
export const node: Recipe = {
  base: 'debian',
  config: {
    Entrypoint: ['docker-entrypoint.sh'],
    Cmd: ['node'],
    Env: [pathVariable()],
  },
  layers: [
    {
      createdBy: "Debian's nodejs",
      packages: ['nodejs', 'ca-certificates'],
      accounts: [{ name: 'node', id: 1000, home: '/home/node', shell: '/bin/bash' }],
      finish(tree) {
        addCertificateBundle(tree);
        tree.addDirectory('home/node', 0o755, { uid: 1000, gid: 1000 });
        addAlternative(tree, {
          ...{ name: 'js', link: '/usr/bin/js', program: '/usr/bin/nodejs', priority: 200 },
        });
      },
    },
    {
      createdBy: 'node entrypoint',
      async finish(tree) {
        const script = await readOwnFile('node-entrypoint.sh');
        tree.addFile('usr/local/bin/docker-entrypoint.sh', script, 0o755);
      },
    },
  ],
};
