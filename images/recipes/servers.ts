import { defaultPath, type LayerRecipe, type Recipe } from '../recipe.ts';
import { debianLayer } from './debian.ts';

const welcomePage = `<!DOCTYPE html>
<html lang="en"><head><title>Welcome to nginx</title></head>
<body><h1>Welcome to nginx</h1><p>It runs in a virtual machine of its own.</p></body></html>
`;

const nginxSite = `server {
    listen 80;
    listen [::]:80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html;
    }
}
`;

const nginxConfiguration = `user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
`;

const nginxLayer: LayerRecipe = {
  createdBy: 'nginx of Debian',
  packages: ['nginx'],
  accounts: [{ name: 'nginx', id: 101, home: '/nonexistent' }],
  finish(tree) {
    tree.addFile('etc/nginx/nginx.conf', nginxConfiguration);
    tree.addFile('etc/nginx/conf.d/default.conf', nginxSite);
    tree.addFile('usr/share/nginx/html/index.html', welcomePage);
    tree.addDirectory('var/lib/nginx', 0o755, { uid: 101, gid: 101 });
    tree.addSymlink('var/log/nginx/access.log', '/dev/stdout');
    tree.addSymlink('var/log/nginx/error.log', '/dev/stderr');
  },
};

export const nginx: Recipe = {
  config: {
    Cmd: ['nginx', '-g', 'daemon off;'],
    Env: [defaultPath],
    ExposedPorts: { '80/tcp': {} },
    StopSignal: 'SIGQUIT',
  },
  layers: [debianLayer, nginxLayer],
};

/** Its layers are zstd, so that this path is walked too. */
export const redis: Recipe = {
  compression: 'zstd',
  config: {
    Cmd: ['redis-server', '--bind', '*', '-::*', '--protected-mode', 'no', '--dir', '/data'],
    Env: [defaultPath],
    ExposedPorts: { '6379/tcp': {} },
    WorkingDir: '/data',
    User: 'redis',
  },
  layers: [
    debianLayer,
    {
      createdBy: 'redis-server and redis-tools of Debian',
      packages: ['redis-server', 'redis-tools'],
      accounts: [{ name: 'redis', id: 999, home: '/data' }],
      finish(tree) {
        tree.addDirectory('data', 0o755, { uid: 999, gid: 999 });
      },
    },
  ],
};

const postgresVersion = '17';

const postgresEntrypoint = `#!/bin/sh
# Makes the database cluster on the first start, then runs the server.
set -eu
if [ "\${1:-postgres}" != postgres ]; then exec "$@"; fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "\${POSTGRES_PASSWORD:-}" ] && [ "\${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo 'Set POSTGRES_PASSWORD (docker run -e POSTGRES_PASSWORD=...), or POSTGRES_HOST_AUTH_METHOD=trust' >&2
    exit 1
  fi
  user=\${POSTGRES_USER:-postgres}
  password=$(mktemp)
  printf '%s\\n' "\${POSTGRES_PASSWORD:-unused}" >"$password"
  initdb --username="$user" --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256
  rm -f "$password"
  echo "host all all all \${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
  if [ "\${POSTGRES_DB:-$user}" != postgres ]; then
    echo "CREATE DATABASE \\"\${POSTGRES_DB:-$user}\\";" | postgres --single -j postgres >/dev/null
  fi
fi
exec "$@" -c listen_addresses='*'
`;

export const postgres: Recipe = {
  config: {
    Entrypoint: ['docker-entrypoint.sh'],
    Cmd: ['postgres'],
    Env: [
      `PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/${postgresVersion}/bin`,
      'PGDATA=/var/lib/postgresql/data',
      'LANG=C.UTF-8',
    ],
    ExposedPorts: { '5432/tcp': {} },
    StopSignal: 'SIGINT',
    User: 'postgres',
  },
  layers: [
    debianLayer,
    {
      createdBy: `postgresql-${postgresVersion} of Debian`,
      packages: [`postgresql-${postgresVersion}`],
      accounts: [{ name: 'postgres', id: 999, home: '/var/lib/postgresql', shell: '/bin/bash' }],
      finish(tree) {
        const owner = { uid: 999, gid: 999 };
        tree.addDirectory('var/lib/postgresql', 0o755, owner);
        tree.addDirectory('var/lib/postgresql/data', 0o700, owner);
        tree.addDirectory('run/postgresql', 0o2775, owner);
        tree.addFile('usr/local/bin/docker-entrypoint.sh', postgresEntrypoint, 0o755);
      },
    },
  ],
};
