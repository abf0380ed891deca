# Shared by the scripts: where things are, and how to run as an unprivileged user. Sourced, never run.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_MAJOR=${PG_MAJOR:-15}
PG_BIN=/usr/lib/postgresql/$PG_MAJOR/bin
export PG_CONFIG=${PG_CONFIG:-$PG_BIN/pg_config}
DUCKDB_DIR=/usr/local/lib/vectorshard
ORM_DIR=$DUCKDB_DIR/orm
AZURITE_DIR=$DUCKDB_DIR/azurite
PARQUET_DIR=$DUCKDB_DIR/parquet
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

# build_histories: the program of test/histories.
build_histories() {
  mkdir -p "$ROOT/build"
  cmake -S "$ROOT" -B "$ROOT/build/histories" -G Ninja >"$ROOT/build/histories.log" 2>&1 &&
    ninja -C "$ROOT/build/histories" histories >>"$ROOT/build/histories.log" 2>&1 || { tail -n 30 "$ROOT/build/histories.log"; return 1; }
}

# histories DIR ARGS…: runs it from DIR, which the servers' user can read. 77: this machine lets nobody make network namespaces.
histories() {
  local dir=$1 rc=0
  shift
  install -m 755 "$ROOT/build/histories/histories" "$dir/histories"
  local with=(env PG_BIN="$("$PG_CONFIG" --bindir)" PATH="/usr/sbin:/sbin:$PATH" "$dir/histories" "$@")
  # Root makes the namespaces itself, and the program runs the servers as postgres in them; where root may not, postgres may try.
  if [ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null; then
    "${with[@]}" || rc=$?
  else
    as_user "${with[@]}" || rc=$?
  fi
  return $rc
}
