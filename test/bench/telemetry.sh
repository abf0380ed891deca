# Phases of scripts/bench-telemetry. Two servers: `table` has the reports' table with a GiST index and no extension of ours,
# `fabric` takes the reports. Only one is busy at a time. Sourced.

note() { say "   $*"; printf '%s\n' "$*" >>"$RESULTS"; }

setup() {
  make_server table
  make_server fabric "shared_preload_libraries = 'vectorshard'" "vectorshard.max_clients = $((CLIENTS * 4 + 1024))"
  start_server table fabric
  sql table -c 'CREATE EXTENSION postgis' \
    -c 'CREATE TABLE report (client text, "position" geometry(Point, 4326), speed float8, heading float8, at timestamptz)' \
    -c 'CREATE INDEX ON report USING gist ("position")' \
    -c 'CREATE UNLOGGED TABLE made (n bigint, client text, c int, lon float8, lat float8, at timestamptz)' 2>/dev/null
  sql fabric -c 'CREATE EXTENSION vectorshard CASCADE' 2>/dev/null
  sql fabric -c "SELECT vectorshard.create_fabric('fabric', ST_SetSRID(ST_MakePoint(-122.4, 37.8), 4326))" >/dev/null
  local point='ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)'
  # Within 50 m of the client's own place: no report is refused as impossible.
  printf '%s\n' '\set c random(0, :clients - 1)' '\set lon -122.4 + (:c % 100) * 0.001 + random(0, 500) / 1000000.0' \
    '\set lat 37.7 + (:c / 100) * 0.001' | tee "$WORK/call.sql" >"$WORK/insert.sql"
  printf '%s\n' "SELECT vectorshard.report('call' || :c, $point, 10, 90);" >>"$WORK/call.sql"
  printf '%s\n' "INSERT INTO report VALUES ('call' || :c, $point, 10, 90, now());" >>"$WORK/insert.sql"
  first_reports
}

counter() { sql fabric -c "SELECT count FROM vectorshard.telemetry_counters() WHERE name = '$1'"; }
# taken BEFORE COUNT: a report that is refused costs less, so all must have been accepted.
taken() {
  local more=$(($(counter accepted) - $1))
  [ "$more" = "$2" ] || die "$more of $2 reports were accepted: $(sql fabric -c 'SELECT string_agg(reason || $$ $$ || count, $$, $$) FROM vectorshard.telemetry_refusals')"
}

# make_reports NAME ROWS: reports of CLIENTS clients, a moment later than those made before, as files for both servers.
make_reports() {
  sql table -c 'TRUNCATE made' -c "INSERT INTO made
    SELECT n, '$1' || n % $CLIENTS, n % $CLIENTS, round((-122.4 + n % 100 * 0.001 + 0.0001 * random())::numeric, 7), 37.7 + n % $CLIENTS / 100 * 0.001,
           now() - ($2 - n) * interval '1 microsecond' FROM generate_series(1, $2::bigint) n" -c 'ANALYZE made'
}
# copy_files CLIENTS [ORDER]: every client's share of the rows, as COPY reads them.
copy_files() {
  local i order=${2:-n}
  for i in $(seq 0 $(($1 - 1))); do
    sql table -c "COPY (SELECT client, lon, lat, 10, 90, at FROM made WHERE c % $1 = $i ORDER BY $order) TO '$WORK/reports/fabric.$i'" \
      -c "COPY (SELECT client, ST_SetSRID(ST_MakePoint(lon, lat), 4326), 10, 90, at FROM made WHERE c % $1 = $i ORDER BY $order) TO '$WORK/reports/table.$i'"
  done
}
# in_parallel CLIENTS SERVER COMMAND: a psql each, with %i replaced; prints the seconds.
in_parallel() {
  local i pids=() start
  start=$(now)
  for i in $(seq 0 $(($1 - 1))); do sql "$2" -c "${3//%i/$i}" & pids+=($!); done
  wait "${pids[@]}"
  since "$start"
}
per_second() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.0f", n / s }'; }

copy_reports() {
  local before seconds
  before=$(counter accepted)
  seconds=$(in_parallel "$1" fabric "COPY vectorshard.telemetry (client, lon, lat, speed_mps, heading_deg, observed_at) FROM '$WORK/reports/fabric.%i'")
  taken "$before" "$2"
  note "$3 $1 report $(per_second "$2" "$seconds")"
}
copy_rows() {
  sql table -c 'TRUNCATE report' -c CHECKPOINT
  note "$3 $1 table $(per_second "$2" "$(in_parallel "$1" table "COPY report FROM '$WORK/reports/table.%i'")")"
}

# The first report of a client looks into the tables: measured by itself, and done once for the later phases.
first_reports() {
  local name
  for name in copy call arrays; do
    make_reports "$name" "$CLIENTS"
    copy_files 1
    copy_reports 1 "$CLIENTS" first
  done
}

phase_call() {
  local clients script server
  sql table -c 'TRUNCATE report' -c CHECKPOINT
  for clients in 1 4; do
    for script in call insert; do
      server=fabric
      [ $script = call ] || server=table
      note "$script $clients statement $("$BIN/pgbench" -n -h "$WORK" -p "${PORT[$server]}" -U postgres -M prepared -c "$clients" -T "$SECONDS_EACH" \
        -D clients="$CLIENTS" -f "$WORK/$script.sql" postgres 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')"
    done
  done
}

# Arrays of 1,000 reports as an application sends them, in text; the table takes them by unnest().
phase_arrays() {
  local rows=$((ROWS / 5)) before start seconds
  make_reports arrays "$rows"
  sql table -c "COPY (SELECT format('SELECT vectorshard.report(%L, %L, %L, %L, %L, %L);', array_agg(client), array_agg(lon), array_agg(lat),
      array_agg(10), array_agg(90), array_agg(at)) FROM made GROUP BY n / 1000 ORDER BY n / 1000) TO '$WORK/reports/fabric.sql'" \
    -c "COPY (SELECT format('INSERT INTO report SELECT c, ST_SetSRID(ST_MakePoint(x, y), 4326), s, h, a FROM unnest(%L::text[], %L::float8[], '
      '%L::float8[], %L::float8[], %L::float8[], %L::timestamptz[]) u (c, x, y, s, h, a);', array_agg(client), array_agg(lon), array_agg(lat),
      array_agg(10), array_agg(90), array_agg(at)) FROM made GROUP BY n / 1000 ORDER BY n / 1000) TO '$WORK/reports/table.sql'"
  before=$(counter accepted)
  start=$(now)
  sql fabric -o /dev/null -f "$WORK/reports/fabric.sql"
  seconds=$(since "$start")
  taken "$before" "$rows"
  note "arrays 1 report $(per_second "$rows" "$seconds")"
  sql table -c 'TRUNCATE report' -c CHECKPOINT
  start=$(now)
  sql table -o /dev/null -f "$WORK/reports/table.sql"
  note "arrays 1 table $(per_second "$rows" "$(since "$start")")"
}

phase_copy() {
  local clients
  for clients in 1 4; do
    make_reports copy "$ROWS"
    copy_files "$clients"
    copy_reports "$clients" "$ROWS" copy
    copy_rows "$clients" "$ROWS" copy
  done
}

# In copy the clients report in the same order each time; here in another order each time.
phase_shuffled() {
  make_reports copy "$ROWS"
  copy_files 1 "n / $CLIENTS, hashint8(n)"
  copy_reports 1 "$ROWS" shuffled
  copy_rows 1 "$ROWS" shuffled
}
