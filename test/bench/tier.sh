# Phases of scripts/bench-tier: table `event` has one month in a store (partition event_cold), table `event_heap` the same rows in a
# partition of its own. Sourced.
COLUMNS='id bigint NOT NULL, client_id int NOT NULL, at timestamptz NOT NULL, amount numeric(12,2), status text NOT NULL, note text'

setup_tier() {
  mkdir "$WORK/store"
  if [ "$(id -u)" = 0 ]; then chown postgres:postgres "$WORK/store"; fi
  make_server a "shared_preload_libraries = 'vectorshard'" 'maintenance_work_mem = 256MB' 'shared_buffers = 2GB' 'vectorshard.tiering_interval_ms = 500' "vectorshard.store_key_file = '$WORK/keys'"
  start_server a
  sql a -c 'CREATE EXTENSION vectorshard CASCADE' 2>/dev/null
  sql a -c "SELECT vectorshard.create_fabric('a', ST_SetSRID(ST_MakePoint(0, 0), 4326))" -c "SELECT vectorshard.create_store('cold', 'file://$WORK/store')" >/dev/null
  local table
  for table in event event_heap; do
    sql a -c "CREATE TABLE $table ($COLUMNS) PARTITION BY RANGE (at)" \
      -c "CREATE TABLE ${table}_month PARTITION OF $table FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z')" \
      -c "CREATE INDEX ON $table (id)" -c "CREATE INDEX ON $table (at)"
  done
  # Rows come in the order of time, as telemetry does; about a hundred bytes each.
  sql a -c "SELECT setseed(0.42)" -c "INSERT INTO event SELECT i, (random() * 20000)::int, '2026-01-01Z'::timestamptz + make_interval(secs => i * (31 * 86400.0 / ($ROWS + 1))),
    (random() * 100000)::numeric(12,2), (ARRAY['ok','ok','ok','late','failed'])[1 + floor(random() * 5)::int], 'trip ' || (random() * 1000)::int || ' of route ' || i % 300
    FROM generate_series(1, $ROWS) i" >/dev/null
  sql a -c 'INSERT INTO event_heap SELECT * FROM event' -c 'VACUUM ANALYZE event' -c 'VACUUM ANALYZE event_heap' -c 'CHECKPOINT'
  measured heap_bytes "$(sql a -c "SELECT pg_relation_size('event_month')")"
}

measured() { printf '%s %s\n' "$1" "$2" >>"$RESULTS"; }

# wait_move STATE: until the last move is there; its errors end the run.
wait_move() {
  local state tries
  for tries in $(seq 1200); do
    state=$(sql a -c 'SELECT state FROM vectorshard.tier_moves ORDER BY move DESC LIMIT 1')
    [ "$state" != "$1" ] || return 0
    [ "$state" != failed ] || die "the move failed: $(sql a -c 'SELECT error FROM vectorshard.tier_moves ORDER BY move DESC LIMIT 1')"
    sleep 0.25  # each look is a process of its own, beside what is measured; how long it took is the server's own record
  done
  die "the move is still $state"
}
took() { sql a -c "SELECT (took ->> '$1')::float8 FROM vectorshard.tier_moves ORDER BY move DESC LIMIT 1"; }

# Until the WAL so far was read by the shipper, as that of old rows was long ago: it takes half a core meanwhile.
await_shipper() {
  local lsn tries
  lsn=$(sql a -c 'SELECT pg_current_wal_flush_lsn()')
  for tries in $(seq 3000); do
    [ "$(sql a -c "SELECT bool_and(confirmed_flush_lsn >= '$lsn') FROM pg_replication_slots")" != t ] || return 0
    sleep 0.1
  done
  die "the shipper does not get to $lsn"
}

# To the store and back, and there again, where it stays for the queries.
round_trip() {
  await_shipper
  if [ -n "${MOVED:-}" ]; then
    sql a -c "SELECT vectorshard.move_to_hot('event_month'::regclass, grace => '0')" >/dev/null
    wait_move done
    measured rehydrate_rows_per_s "$(awk -v n="$ROWS" -v s="$(took loaded)" 'BEGIN { print n / s }')"
    sql a -c 'VACUUM ANALYZE event' -c 'CHECKPOINT'
    await_shipper
  fi
  sql a -c "SELECT vectorshard.move_to_cold('event_month'::regclass, grace => '0')" >/dev/null
  wait_move done
  measured export_rows_per_s "$(awk -v n="$ROWS" -v s="$(took exported)" 'BEGIN { print n / s }')"
  measured verify_rows_per_s "$(awk -v n="$ROWS" -v s="$(took verified)" 'BEGIN { print n / s }')"
  measured segment_bytes "$(sql a -c "SELECT bytes FROM vectorshard.tier_moves ORDER BY move DESC LIMIT 1")"
  MOVED=yes
}

# One day of the heap's month, after it went to a store whose objects are never read in place, into an empty cache.
fetched_part() {
  mkdir "$WORK/vault"
  echo "k1 $(openssl rand -hex 32)" >"$WORK/keys"
  chmod 600 "$WORK/keys"
  if [ "$(id -u)" = 0 ]; then chown postgres:postgres "$WORK/vault" "$WORK/keys"; fi
  sql a -c "SELECT vectorshard.create_store('vault', 'file://$WORK/vault', encrypted => true)" \
    -c "SELECT vectorshard.move_to_cold('event_heap_month'::regclass, 'vault', grace => '0')" >/dev/null
  wait_move done
  rm -f "$(sql a -c 'SHOW data_directory')"/vectorshard/pgsql_tmp_spool/read/*.parquet
  measured fetched_bytes "$(sql a -c "EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*), sum(amount) FROM event_heap WHERE $DAY" | sed -n 's/.*Fetched: \([0-9]*\) bytes.*/\1/p')"
  measured vault_bytes "$(sql a -c "SELECT bytes FROM vectorshard.tier_moves ORDER BY move DESC LIMIT 1")"
}

# timed NAME SQL: milliseconds of the second of two executions in one session.
timed() {
  measured "$1" "$(printf '%s\n' '\pset pager off' '\o /dev/null' "$2;" '\timing on' "$2;" | sql a 2>&1 | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p')"
}

# Every value of every row is made a Datum and looked at here: hashes are no aggregates that could be computed elsewhere.
TOUCH="SELECT count(*) FROM %s WHERE hashint8(id) # hashint4(client_id) # hashint8(date_part('epoch', at)::bigint) # hash_numeric(amount) # hashtext(status) # hashtext(note) = 0"

DAY="at >= '2026-01-12Z' AND at < '2026-01-13Z'"

queries() {
  local i n where
  for i in 1 2; do
    for where in heap cold; do
      n=event; [ $where = cold ] || n=event_heap
      timed "agg_${where}_ms" "SELECT count(*), sum(amount), max(at) FROM $n"
      timed "group_${where}_ms" "SELECT status, count(*), sum(amount) FROM $n GROUP BY status"
      # shellcheck disable=SC2059
      timed "scan_${where}_ms" "$(printf "$TOUCH" $n)"
      timed "point_${where}_ms" "SELECT * FROM $n WHERE id = $((ROWS / 3 + RANDOM))"
      timed "day_${where}_ms" "SELECT count(*), sum(amount) FROM $n WHERE $DAY"
    done
  done
}
