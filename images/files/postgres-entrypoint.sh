#!/bin/sh
# Runs PostgreSQL as the user postgres. On the first start it makes the cluster as POSTGRES_USER,
# POSTGRES_PASSWORD(_FILE), POSTGRES_DB, POSTGRES_HOST_AUTH_METHOD and POSTGRES_INITDB_ARGS say, and
# runs what lies in /docker-entrypoint-initdb.d. Commands other than postgres run as they are.
set -eu

case "${1:-}" in
'' | -*) set -- postgres "$@" ;;
esac
if [ "${1:-}" != postgres ]; then
  exec "$@"
fi

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  find "$PGDATA" /run/postgresql ! -user postgres -exec chown postgres:postgres {} +
  chmod 700 "$PGDATA"
  chmod 3775 /run/postgresql
  export HOME=/var/lib/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

make_cluster() {
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  password=${POSTGRES_PASSWORD:-}
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    password=$(cat "$POSTGRES_PASSWORD_FILE")
  fi
  if [ -z "$password" ] && [ "$method" != trust ]; then
    echo 'postgres: the first start needs a password for the superuser: -e POSTGRES_PASSWORD=...' >&2
    echo 'postgres: or, to let everybody in without one: -e POSTGRES_HOST_AUTH_METHOD=trust' >&2
    exit 1
  fi
  secret=$(mktemp)
  trap 'rm -f "$secret"' EXIT
  printf '%s\n' "$password" >"$secret"
  # The arguments are words by intent.
  # shellcheck disable=SC2086
  initdb --username="$user" ${password:+--pwfile="$secret"} --auth=trust ${POSTGRES_INITDB_ARGS:-}
  rm -f "$secret"
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
}

sql() {
  psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$user" "$@"
}

fill_cluster() {
  # Only reachable over the socket until everything is in place.
  pg_ctl --silent --wait --options="-c listen_addresses=''" start
  if [ "$database" != postgres ]; then
    echo 'CREATE DATABASE :"name";' | sql --quiet --dbname=postgres --set=name="$database"
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
    *.sh) echo "postgres: running $file" && sh "$file" ;;
    *.sql) echo "postgres: running $file" && sql --dbname="$database" --file="$file" ;;
    *.sql.gz) echo "postgres: running $file" && gunzip -c "$file" | sql --dbname="$database" ;;
    esac
  done
  pg_ctl --silent --wait --mode=fast stop
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  make_cluster
  fill_cluster
  echo 'postgres: the cluster is made, starting the server'
fi
exec "$@"
