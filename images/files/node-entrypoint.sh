#!/bin/sh
# Options and script files go to node; other commands run as they are.
set -eu

case "${1:-}" in
'' | -*) set -- node "$@" ;;
*/* | *.*js)
  # A script without the execute bit is not a command.
  if [ -f "$1" ] && [ ! -x "$1" ]; then set -- node "$@"; fi
  ;;
esac
exec "$@"
