# What scripts/bench-ship measures, one function a phase: each prints "PHASE SYSTEM VALUE…" lines to $RESULTS. Sourced.
note() { say "   $*"; printf '%s\n' "$*" >>"$RESULTS"; }

# wait_rows SYSTEM CLIENT ID COUNT FROM: until the last row is at b, then the last row of every client (of a COUNT that has
# them all), and then COUNT rows from id FROM on; prints when that was.
wait_rows() {
  local last="SELECT true"
  [ "$4" -lt "$CLIENTS" ] || last="SELECT bool_and(EXISTS (SELECT FROM ONLY trip WHERE client = 'car' || i % $CLIENTS AND id = $5 - 1 + i)) FROM generate_series($4 - $CLIENTS + 1, $4) i"
  "$WORK/wait" "$(conninfo "$1_b")" "$PATIENCE_S" "SELECT EXISTS (SELECT FROM ONLY trip WHERE client = '$2' AND id = $3)" "$last" \
    "SELECT count(*) >= $4 FROM ONLY trip WHERE id BETWEEN $5 AND $3"
}
# Everything that a has is at b, value by value.
check_equal() {
  local query="SELECT count(*), sum(hashtextextended(client || ' ' || id || ' ' || note || ' ' || at, 0)) FROM ONLY trip" i
  for i in $(seq 100); do
    [ "$(sql "$1_a" -c "$query")" != "$(sql "$1_b" -c "$query")" ] || return 0
    sleep 0.1
  done
  die "$1: the receiver does not have what the sender has"
}
# one_by_one COUNT STATEMENT: a DO block of that many transactions; the statement sees i = 1…COUNT.
one_by_one() { printf 'DO $$ BEGIN FOR i IN 1..%s LOOP %s; COMMIT; END LOOP; END $$' "$1" "$2"; }
# next_ids COUNT: sets FROM, the first of COUNT ids that were never used.
NEXT_ID=1
next_ids() { FROM=$NEXT_ID; NEXT_ID=$((NEXT_ID + $1 + 1)); }

# deliver PHASE SYSTEM CLIENT LAST_ID COUNT FROM: resumes a paused system and measures until b has all.
deliver() {
  local start end cpu_a cpu_b
  sql "$2_a" -c CHECKPOINT
  cpu_a=$(cpu_of "$2_a"); cpu_b=$(cpu_of "$2_b")
  start=$(now)
  "resume_$2"
  end=$(wait_rows "$2" "$3" "$4" "$5" "$6")
  note "$1 $2 $(minus "$end" "$start") $(minus "$(cpu_of "$2_a")" "$cpu_a") $(minus "$(cpu_of "$2_b")" "$cpu_b")"
}
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a - b }'; }

phase_drain() {
  next_ids "$DRAIN"
  "pause_$1"
  sql "$1_a" -c 'SET synchronous_commit = off' -c "$(one_by_one "$DRAIN" "INSERT INTO trip (client, id, note) VALUES ('car' || i % $CLIENTS, $FROM + i, repeat('n', 60))")"
  sql "$1_a" -c "SELECT pg_logical_emit_message(true, 'bench', '')" >/dev/null
  deliver drain "$1" "car$((DRAIN % CLIENTS))" $((FROM + DRAIN)) "$DRAIN" $((FROM + 1))
  check_equal "$1"
}
phase_hot() {
  next_ids 1
  "pause_$1"
  sql "$1_a" -c 'SET synchronous_commit = off' -c "$(one_by_one "$HOT" "UPDATE trip SET note = 'hot ' || i, at = clock_timestamp() WHERE client = 'car' || i % 5 AND id = 0")"
  sql "$1_a" -c "INSERT INTO trip (client, id, note) VALUES ('car0', $FROM, 'end')"
  deliver hot "$1" car0 "$FROM" 1 "$FROM"
  check_equal "$1"
}
phase_bulk() {
  local start end
  next_ids "$BULK"
  sql "$1_a" -c "INSERT INTO trip (client, id, note) SELECT 'car' || g % $CLIENTS, $FROM + g, repeat('n', 60) FROM generate_series(1, $BULK) g"
  start=$(now)
  local cpu_a cpu_b
  cpu_a=$(cpu_of "$1_a"); cpu_b=$(cpu_of "$1_b")
  end=$(wait_rows "$1" "car$((BULK % CLIENTS))" $((FROM + BULK)) "$BULK" $((FROM + 1)))
  note "bulk $1 $(minus "$end" "$start") $(minus "$(cpu_of "$1_a")" "$cpu_a") $(minus "$(cpu_of "$1_b")" "$cpu_b")"
  check_equal "$1"
}

INSERT_SCRIPT='\set c random(0, :clients - 1)
INSERT INTO trip (client, id, note) VALUES ($$car$$ || :c, nextval($$run$$), repeat($$n$$, 60));'
# load SYSTEM SECONDS [RATE]: writers on a; prints the transactions they made.
load() {
  "$BIN/pgbench" -n -h "$WORK" -p "${PORT[$1_a]}" -U postgres -M prepared -c 4 -T "$2" ${3:+-R "$3"} -D clients="$CLIENTS" \
    -f "$WORK/insert.sql" postgres 2>/dev/null | sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p'
}
# capacity: what stock replication sustains on this machine, writers included (transactions / time until caught up).
measure_capacity() {
  local start n
  start=$(now)
  n=$(load native "$LAG_S")
  sql native_a -c "INSERT INTO trip (client, id, note) VALUES ('car0', nextval('run'), 'end')"
  wait_sql native_b "SELECT EXISTS (SELECT FROM trip WHERE client = 'car0' AND note = 'end' AND id = $(sql native_a -c 'SELECT last_value FROM run'))"
  CAPACITY=$(awk -v n="$n" -v s="$(since "$start")" 'BEGIN { printf "%d", n / s }')
  RATE=$((CAPACITY * 6 / 10))
  say "   capacity: stock replication sustains $CAPACITY transactions/s here; lag is measured at $RATE/s"
}
phase_lag() {
  local lag
  next_ids 1000000
  load "$1" "$((LAG_S + 1))" "$RATE" >/dev/null &
  lag=$("$WORK/lag" "$(conninfo "$1_a")" "$(conninfo "$1_b")" "$LAG_S" "$FROM")
  wait $!
  note "lag $1 $lag"
}

# Not delivered in time: the peer was away, its backlog became debt, and is paid by sync. Only ours has this.
phase_debt() {
  local start end
  next_ids "$DRAIN"
  sql vectorshard_a -c 'ALTER SYSTEM SET vectorshard.peer_queue_mb = 1' -c 'SELECT pg_reload_conf()' >/dev/null
  stop_server fast vectorshard_b
  sql vectorshard_a -c 'SET synchronous_commit = off' -c "$(one_by_one "$DRAIN" "INSERT INTO trip (client, id, note) VALUES ('car' || i % $CLIENTS, $FROM + i, repeat('n', 60))")"
  wait_sql vectorshard_a "SELECT debts > 0 AND queue_rows < $DRAIN / 2 FROM vectorshard.ship_lag"
  start_server vectorshard_b
  start=$(now)
  end=$(wait_rows vectorshard "car$((DRAIN % CLIENTS))" $((FROM + DRAIN)) "$DRAIN" $((FROM + 1)))
  note "debt vectorshard $(minus "$end" "$start")"
  sql vectorshard_a -c 'ALTER SYSTEM RESET vectorshard.peer_queue_mb' -c 'SELECT pg_reload_conf()' >/dev/null
}

# What a single-row statement costs its writer: one client of pgbench, prepared, servers in turn. With the extension the
# workers decode what is written; nobody else holds the clients.
setup_writer() {
  make_server writer_plain
  make_server writer_vectorshard "shared_preload_libraries = 'vectorshard'" "vectorshard.placement_mode = 'off'"
  start_server writer_plain writer_vectorshard
  sql writer_plain -c "$TABLE"
  fabric writer_vectorshard
  first_rows writer_plain
  first_rows writer_vectorshard
}
phase_writer() {
  local kind what
  for what in insert update; do
    for kind in plain vectorshard; do
      note "$what writer_$kind $("$BIN/pgbench" -n -h "$WORK" -p "${PORT[writer_$kind]}" -U postgres -M prepared -T "$WRITER_S" \
        -D clients="$CLIENTS" -f "$WORK/$what.sql" postgres 2>/dev/null | sed -n 's/^latency average = \([0-9.]*\) ms/\1/p')"
    done
  done
}
