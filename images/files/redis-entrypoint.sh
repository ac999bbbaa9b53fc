#!/bin/sh
# Runs redis-server as the user redis, open to the container's network; other commands run as they are.
set -eu

case "${1:-}" in
'' | -*) set -- redis-server "$@" ;;
*.conf) set -- redis-server "$@" ;;
esac
if [ "${1:-}" != redis-server ]; then
  exec "$@"
fi
shift

# A configuration file comes first and decides for itself.
case "${1:-}" in
'' | -*) set -- --protected-mode no --bind '*' '-::*' "$@" ;;
esac

if [ "$(id -u)" = 0 ]; then
  find . ! -user redis -exec chown redis:redis {} +
  exec setpriv --reuid=redis --regid=redis --init-groups redis-server "$@"
fi
exec redis-server "$@"
