# Servers of the benchmarks: made under $WORK, run as an unprivileged user on loopback, stopped at the end. Sourced.
declare -A PORT
SERVERS=()

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# make_server NAME [SETTING…]: a data directory; started by start_server.
make_server() {
  SERVERS+=("$1")
  PORT[$1]=$(free_port)
  as_user "$BIN/initdb" -D "$WORK/$1" -A trust -U postgres --no-sync --locale=C.UTF-8 >/dev/null
  printf '%s\n' "listen_addresses = '127.0.0.1'" "port = ${PORT[$1]}" "unix_socket_directories = '$WORK'" \
    "fsync = $FSYNC" 'wal_level = logical' 'shared_buffers = 512MB' 'max_wal_size = 8GB' 'checkpoint_timeout = 1h' \
    'max_worker_processes = 32' 'max_wal_senders = 20' 'max_replication_slots = 20' 'max_logical_replication_workers = 16' \
    'autovacuum = off' 'wal_retrieve_retry_interval = 100ms' 'max_connections = 60' "${@:2}" |
    as_user tee -a "$WORK/$1/postgresql.conf" >/dev/null
}
start_server() {
  local name
  for name in "$@"; do
    [ -f "$WORK/$name/postmaster.pid" ] || as_user "$BIN/pg_ctl" -D "$WORK/$name" -l "$WORK/$name.log" -w start >/dev/null ||
      { tail -n 20 "$WORK/$name.log"; die "server $name does not start"; }
  done
}
# stop_server MODE NAME…
stop_server() {
  local name
  for name in "${@:2}"; do
    [ ! -f "$WORK/$name/postmaster.pid" ] || as_user "$BIN/pg_ctl" -D "$WORK/$name" -m "$1" -w -t 120 stop >/dev/null 2>&1 || true
  done
}
# sql NAME[/DATABASE] …: psql there, silent but for results.
sql() {
  local database=postgres
  case $1 in */*) database=${1#*/} ;; esac
  psql -X -q -At -v ON_ERROR_STOP=1 -h "$WORK" -p "${PORT[${1%/*}]}" -U postgres -d "$database" "${@:2}"
}
conninfo() {
  local database=postgres
  case $1 in */*) database=${1#*/} ;; esac
  printf 'host=127.0.0.1 port=%s user=postgres dbname=%s' "${PORT[${1%/*}]}" "$database"
}

# cpu_of NAME: CPU seconds that all processes of a server have used.
cpu_of() {
  local postmaster
  postmaster=$(head -n 1 "$WORK/$1/postmaster.pid")
  # A process may end between the list and its file.
  { cat "/proc/$postmaster/stat" $(sed 's, *\([0-9][0-9]*\),/proc/\1/stat ,g' "/proc/$postmaster/task/$postmaster/children") 2>/dev/null || true; } |
    awk -v hz="$(getconf CLK_TCK)" -v pm="$postmaster" '{ t += $14 + $15; if ($1 == pm) t += $16 + $17 } END { printf "%.2f\n", t / hz }'
}
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.3f\n", b - a }'; }
