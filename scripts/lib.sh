# Shared by the scripts: where things are, and how to run as an unprivileged user. Sourced, never run.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_MAJOR=${PG_MAJOR:-15}
PG_BIN=/usr/lib/postgresql/$PG_MAJOR/bin
export PG_CONFIG=${PG_CONFIG:-$PG_BIN/pg_config}
DUCKDB_DIR=/usr/local/lib/vectorshard
JOBS=$(nproc)

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

# as_root CMD…: root directly, anyone else through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# as_user CMD…: servers never run as root; root becomes the package's own user.
as_user() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/tmp USER=postgres LOGNAME=postgres "$@"
  else
    "$@"
  fi
}

# build_and_install: the extension, into the PostgreSQL of PG_CONFIG.
build_and_install() {
  say "== building the extension"
  make -C "$ROOT" -s -j"$JOBS" all
  as_root make -C "$ROOT" -s install PG_CONFIG="$PG_CONFIG" >/dev/null
}
