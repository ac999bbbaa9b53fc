import { readOwnFile } from '../own-file.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

const redisAccount = { name: 'redis', id: 999, home: '/data' };

/** Redis on port 6379, data in /data. Its own layers are zstd, so that this path is walked too. */
export const redis: Recipe = {
  base: 'debian',
  compression: 'zstd',
  config: {
    Entrypoint: ['docker-entrypoint.sh'],
    Cmd: ['redis-server'],
    Env: [pathVariable()],
    ExposedPorts: { '6379/tcp': {} },
    Volumes: { '/data': {} },
    WorkingDir: '/data',
  },
  layers: [
    {
      createdBy: "Debian's redis-server and redis-tools",
      packages: ['redis-server'],
      accounts: [redisAccount],
    },
    {
      createdBy: 'redis entrypoint and /data',
      async finish(tree) {
        const script = await readOwnFile('redis-entrypoint.sh');
        tree.addFile('usr/local/bin/docker-entrypoint.sh', script, 0o755);
        tree.addDirectory('data', 0o755, { uid: redisAccount.id, gid: redisAccount.id });
      },
    },
  ],
};
