# Phases of scripts/bench-read. `alone`: a fabric of one node; `plain`: the same tables without the extension. `n1` to `n8`: core
# nodes of one fabric, each the home of an eighth of the clients; in database `plain` of each server the same rows as a plain table,
# which database `asker` of n1 sees as hash partitions by postgres_fdw. Sourced.
NODES=8
TRIP='CREATE TABLE trip (client text COLLATE "C", id int, kind int, km numeric, note text, PRIMARY KEY (client, id))'
VISIT='CREATE TABLE visit (client text COLLATE "C", place int, rating int, PRIMARY KEY (client, place))'

# trips TABLE CONDITION, visits CONDITION: rows of the clients c for which it holds.
trips() {
  printf '%s' "INSERT INTO $1 SELECT 'car' || c, i, (c + i) % 10, (c * 37 + i * 11) % 1000 / 8.0, repeat('n', 60) FROM generate_series(1, $CLIENTS) c, generate_series(1, 100) i WHERE $2"
}
visits() { printf '%s' "INSERT INTO visit SELECT 'car' || c, p, (c * p) % 6 FROM generate_series(1, $CLIENTS) c, generate_series(1, 10) p WHERE $1"; }

setup_local() {
  make_server plain
  make_server alone "shared_preload_libraries = 'vectorshard'"
  start_server plain alone
  sql plain -c "$TRIP" -c "$VISIT"
  sql alone -c 'CREATE EXTENSION vectorshard CASCADE' 2>/dev/null
  sql alone -c "SELECT vectorshard.create_fabric('alone', ST_SetSRID(ST_MakePoint(0, 0), 4326))" -c "$TRIP" -c "$VISIT" \
    -c "SELECT vectorshard.create_vector_shard_table('trip', 'client'), vectorshard.create_vector_shard_table('visit', 'client')" >/dev/null
  local server
  for server in plain alone; do sql $server -c "$(trips trip true)" -c "$(visits true)" -c 'VACUUM ANALYZE trip' -c 'VACUUM ANALYZE visit'; done
}

setup_fabric() {
  local i n
  for i in $(seq $NODES); do
    make_server n$i "shared_preload_libraries = 'vectorshard'" 'shared_buffers = 128MB' "vectorshard.placement_mode = 'off'"
    start_server n$i
    sql n$i -c 'CREATE EXTENSION vectorshard CASCADE' -c 'CREATE ROLE fabric LOGIN IN ROLE vectorshard_peer' 2>/dev/null
  done
  sql n1 -c 'SET client_min_messages = warning' -c "SELECT vectorshard.create_fabric('n1', ST_SetSRID(ST_MakePoint(0, 0), 4326))" \
    -c "CREATE USER MAPPING FOR CURRENT_USER SERVER fabric OPTIONS (user 'fabric')" -c "$TRIP" -c "$VISIT" \
    -c "SELECT vectorshard.create_vector_shard_table('trip', 'client'), vectorshard.create_vector_shard_table('visit', 'client')" >/dev/null
  for i in $(seq 2 $NODES); do
    sql n$i -c 'SET client_min_messages = warning' -c "CREATE SERVER hub FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '127.0.0.1', port '${PORT[n1]}', dbname 'postgres')" \
      -c "CREATE USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (user 'fabric')" \
      -c "SELECT vectorshard.join_fabric('n$i', 'hub', ST_SetSRID(ST_MakePoint($i, 0), 4326), kind => 'core')" >/dev/null
  done
  for i in $(seq $NODES); do
    sql n$i -c "$(trips trip "c % $NODES = $i - 1")" -c "$(visits "c % $NODES = $i - 1")" -c 'VACUUM ANALYZE trip'
    sql n$i -c 'CREATE DATABASE plain'
    sql n$i/plain -c "$TRIP"
  done
  setup_asker
  wait_for "SELECT count(*) = $CLIENTS FROM vectorshard.client" n1
  for i in $(seq $NODES); do sql n$i/plain -c 'VACUUM ANALYZE trip'; done
}

# What a DBA would make of postgres_fdw: partitions, asynchronous, all that it pushes down allowed.
setup_asker() {
  local i
  sql n1 -c 'CREATE DATABASE asker'
  sql n1/asker -c 'CREATE EXTENSION postgres_fdw' -c "${TRIP/PRIMARY KEY (client, id))/CHECK (id > 0))} PARTITION BY HASH (client)"
  for i in $(seq $NODES); do
    sql n1/asker -c "CREATE SERVER s$i FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '${PORT[n$i]}', dbname 'plain', async_capable 'true', fetch_size '1000', batch_size '1000')" \
      -c "CREATE USER MAPPING FOR CURRENT_USER SERVER s$i OPTIONS (user 'postgres')" \
      -c "CREATE FOREIGN TABLE trip_$i PARTITION OF trip FOR VALUES WITH (MODULUS $NODES, REMAINDER $((i - 1))) SERVER s$i OPTIONS (table_name 'trip')"
  done
  sql n1/asker -c "$(trips trip true)" -c 'ALTER DATABASE asker SET enable_partitionwise_aggregate = on' -c 'ANALYZE trip'
  # For a row of one node: the very rows whose home n2 is, in a plain table there.
  sql n2/plain -c "${TRIP/TABLE trip/TABLE home_of_n2}" -c "$(trips home_of_n2 "c % $NODES = 1")" -c 'VACUUM ANALYZE home_of_n2'
  sql n1/asker -c "CREATE FOREIGN TABLE home_of_n2 (client text COLLATE \"C\", id int, kind int, km numeric, note text) SERVER s2"
}

# wait_for QUERY SERVER: until it gives true.
wait_for() {
  local tries
  for tries in $(seq 600); do
    [ "$(sql "$2" -c "$1")" != t ] || return 0
    sleep 0.1
  done
  die "after 60 s on $2 still not: $1"
}

# bench NAME SERVER[/DATABASE] MODE SCRIPT: microseconds a transaction, into the results.
bench() {
  local database=postgres tps
  case $2 in */*) database=${2#*/} ;; esac
  tps=$("$BIN/pgbench" -n -h "$WORK" -p "${PORT[${2%/*}]}" -U postgres -M "$3" -T "$SECONDS_EACH" -D clients="$CLIENTS" -f "$WORK/$4.sql" "$database" 2>"$WORK/pgbench.err" |
    sed -n 's/^tps = \([0-9.]*\) .*/\1/p')
  [ -n "$tps" ] || { cat "$WORK/pgbench.err"; die "pgbench $4 on $2 failed"; }
  printf '%s %s %s\n' "$1" "$2" "$(awk -v t="$tps" 'BEGIN { printf "%.1f", 1e6 / t }')" >>"$RESULTS"
}

write_scripts() {
  printf '%s\n' '\set c random(1, :clients)' '\set i random(1, 100)' "SELECT km, note FROM trip WHERE client = 'car' || :c AND id = :i;" >"$WORK/point.sql"
  printf '%s\n' '\set c random(1, :clients)' "SELECT count(*), sum(v.rating) FROM trip t JOIN visit v USING (client) WHERE client = 'car' || :c AND t.id = v.place;" >"$WORK/join.sql"
  # Clients whose home is n2.
  local table i
  for table in trip home_of_n2; do
    printf '%s\n' '\set c random(1, :clients / 8 - 1)' '\set i random(1, 100)' "SELECT km, note FROM $table WHERE client = 'car' || (:c * 8 + 1) AND id = :i;" >"$WORK/remote_$table.sql"
  done
  printf '%s\n' 'SELECT count(*), sum(km), avg(km) FROM trip WHERE kind <> 3;' >"$WORK/aggregate.sql"
  # Names as applications send them; pgbench puts variables into quotes too, as long as nothing is prepared.
  { printf '%s\n' '\set c0 random(1, :clients - 100)'; for i in $(seq 99); do printf '\\set c%d :c0 + %d\n' "$i" "$i"; done
    printf '%s\n' "SELECT client, id, km FROM trip WHERE client IN ($(seq -s, -f "'car:c%.0f'" 0 99)) AND id < 10;"; } >"$WORK/list.sql"
}

round() {
  bench point plain prepared point; bench point alone prepared point
  bench simple plain simple point; bench simple alone simple point
  bench join plain prepared join; bench join alone prepared join
  bench remote n1/asker prepared remote_home_of_n2; bench remote n1 prepared remote_trip
  bench aggregate n1/asker prepared aggregate; bench aggregate n1 prepared aggregate
  bench list n1/asker simple list; bench list n1 simple list
}
