import { pathVariable, type Recipe } from '../recipe.ts';
import { readOwnFile } from '../own-file.ts';

/** nginx on port 80 with a welcome page; logs go to stdout and stderr. */
export const nginx: Recipe = {
  base: 'debian',
  config: {
    Cmd: ['nginx', '-g', 'daemon off;'],
    Env: [pathVariable()],
    ExposedPorts: { '80/tcp': {} },
    StopSignal: 'SIGQUIT',
  },
  layers: [
    {
      createdBy: "Debian's nginx",
      packages: ['nginx'],
      accounts: [{ name: 'nginx', id: 101, home: '/nonexistent' }],
    },
    {
      createdBy: 'nginx configuration and welcome page',
      async finish(tree) {
        tree.addFile('etc/nginx/nginx.conf', await readOwnFile('nginx.conf'));
        tree.addFile('etc/nginx/conf.d/default.conf', await readOwnFile('nginx-default.conf'));
        tree.addFile('usr/share/nginx/html/index.html', await readOwnFile('nginx-welcome.html'));
        tree.addDirectory('var/lib/nginx');
        tree.addSymlink('var/log/nginx/access.log', '/dev/stdout');
        tree.addSymlink('var/log/nginx/error.log', '/dev/stderr');
      },
    },
  ],
};
