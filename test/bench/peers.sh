# CPU of the sending node with one peer and with many (scripts/bench-ship): peer k holds the k-th of $PEERS parts of the
# clients, also where it is the only one. Stock replication does it as a user of PostgreSQL 15 would: a publication with a
# row filter for each peer. Measured while a backlog is delivered; nobody writes. Sourced.

# part K: the condition on column client.
part() { printf 'abs(hashtext(client)) %% %s = %s' "$PEERS" "$1"; }

# setup_peers SYSTEM COUNT: servers SYSTEM_COUNT_a and its receivers.
setup_peers_vectorshard() {
  local name=vectorshard_$1 k receivers=()
  local preload="shared_preload_libraries = 'vectorshard'"
  make_server "${name}_a" "$preload" 'vectorshard.peer_queue_mb = 4096' "vectorshard.placement_mode = 'off'"
  for k in $(seq "$1"); do
    make_server "${name}_b$k" "$preload" "vectorshard.placement_mode = 'off'" 'shared_buffers = 64MB'
    receivers+=("${name}_b$k")
  done
  start_server "${name}_a" "${receivers[@]}"
  fabric "${name}_a" "${receivers[@]}"
  first_rows "${name}_a"
  for k in $(seq "$1"); do
    wait_sql "${name}_b$k" "SELECT count(*) > $CLIENTS FROM vectorshard.client"
    hold "${name}_b$k" "$(part $((k - 1)))" "$(sql "${name}_a" -c "SELECT count(*) FROM vectorshard.client WHERE $(part $((k - 1)))")"
  done
}
setup_peers_native() {
  local name=native_$1 k
  make_server "${name}_a"
  make_server "${name}_b" 'shared_buffers = 512MB'
  start_server "${name}_a" "${name}_b"
  sql "${name}_a" -c "$TABLE"
  first_rows "${name}_a"
  for k in $(seq "$1"); do
    sql "${name}_a" -c "CREATE PUBLICATION p$k FOR TABLE trip WHERE ($(part $((k - 1))))"
    sql "${name}_b" -c "CREATE DATABASE p$k"
    sql "${name}_b/p$k" -c "$TABLE" -c "CREATE SUBSCRIPTION s$k CONNECTION '$(conninfo "${name}_a")' PUBLICATION p$k WITH (binary = true, copy_data = false)" 2>/dev/null
  done
}
pause_peers_vectorshard() { PAUSED=$(shipper_of "vectorshard_$1_a"); kill -STOP "$PAUSED"; }
resume_peers_vectorshard() { kill -CONT "$PAUSED"; PAUSED=; }
pause_peers_native() {
  local k
  for k in $(seq "$1"); do sql "native_$1_b/p$k" -c "ALTER SUBSCRIPTION s$k DISABLE"; done
  wait_sql "native_$1_a" 'SELECT NOT bool_or(active) FROM pg_replication_slots'
}
resume_peers_native() {
  local k
  for k in $(seq "$1"); do sql "native_$1_b/p$k" -c "ALTER SUBSCRIPTION s$k ENABLE"; done
}
# delivered SYSTEM COUNT FROM: until every peer has its part of the ids from FROM on.
delivered() {
  local k where
  for k in $(seq "$2"); do
    where=vectorshard_$2_b$k
    [ "$1" = vectorshard ] || where=native_$2_b/p$k
    wait_sql "$where" "SELECT count(*) = $(sql "$1_$2_a" -c "SELECT count(*) FROM ONLY trip WHERE id >= $3 AND id < 1000000000 AND $(part $((k - 1)))") FROM ONLY trip WHERE id >= $3 AND id < 1000000000"
  done
}
# phase_peers SYSTEM COUNT
phase_peers() {
  local cpu
  next_ids "$PEER_ROWS"
  "pause_peers_$1" "$2"
  sql "$1_$2_a" -c 'SET synchronous_commit = off' -c "$(one_by_one "$PEER_ROWS" "INSERT INTO trip (client, id, note) VALUES ('car' || i % $CLIENTS, $FROM + i, repeat('n', 60))")"
  sql "$1_$2_a" -c "SELECT pg_logical_emit_message(true, 'bench', '')" -c CHECKPOINT >/dev/null
  cpu=$(cpu_of "$1_$2_a")
  "resume_peers_$1" "$2"
  sleep 0.5
  sql "$1_$2_a" -c "SELECT count(*) FROM pg_stat_activity" >/dev/null
  wait_position "$1" "$2"
  note "peers$2 $1 $(minus "$(cpu_of "$1_$2_a")" "$cpu")"
  delivered "$1" "$2" "$FROM"
}
# wait_position SYSTEM COUNT: until the sender knows that all of it has been delivered.
wait_position() {
  local lsn
  lsn=$(sql "$1_$2_a" -c 'SELECT pg_current_wal_flush_lsn()')
  if [ "$1" = vectorshard ]; then
    wait_sql "$1_$2_a" "SELECT bool_and(queue_rows = 0 AND decoded_lsn >= '$lsn') FROM vectorshard.ship_lag"
  else
    wait_sql "$1_$2_a" "SELECT bool_and(confirmed_flush_lsn >= '$lsn') FROM pg_replication_slots"
  fi
}
