import { readOwnFile } from '../own-file.ts';
import { pathVariable, type Recipe } from '../recipe.ts';

const version = '17';
const programs = `/usr/lib/postgresql/${version}/bin`;
const dataDirectory = '/var/lib/postgresql/data';
const owner = { uid: 999, gid: 999 };

/** PostgreSQL on port 5432; the entrypoint makes the cluster on the first start. */
export const postgres: Recipe = {
  base: 'debian',
  config: {
    Entrypoint: ['docker-entrypoint.sh'],
    Cmd: ['postgres'],
    // Before /usr/bin, where Debian has wrappers that look for its own kind of cluster.
    Env: [pathVariable(programs), 'LANG=C.UTF-8', `PG_MAJOR=${version}`, `PGDATA=${dataDirectory}`],
    ExposedPorts: { '5432/tcp': {} },
    Volumes: { [dataDirectory]: {} },
    StopSignal: 'SIGINT',
  },
  layers: [
    {
      createdBy: `Debian's postgresql-${version}`,
      packages: [`postgresql-${version}`],
      accounts: [
        { name: 'postgres', id: owner.uid, home: '/var/lib/postgresql', shell: '/bin/bash' },
      ],
    },
    {
      createdBy: 'postgres entrypoint and data directory',
      async finish(tree) {
        const script = await readOwnFile('postgres-entrypoint.sh');
        tree.addFile('usr/local/bin/docker-entrypoint.sh', script, 0o755);
        tree.addDirectory('docker-entrypoint-initdb.d');
        tree.addDirectory('var/lib/postgresql', 0o755, owner);
        tree.addDirectory('var/lib/postgresql/data', 0o700, owner);
        tree.addDirectory('run/postgresql', 0o3775, owner);
      },
    },
  ],
};
