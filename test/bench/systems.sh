# The systems that scripts/bench-ship compares: how each is set up, paused and resumed. Sourced. Every system has servers
# SYSTEM_a (where rows are written) and SYSTEM_b; the same table, key and first rows on all.
TABLE='CREATE TABLE trip (client text COLLATE "C", id bigint, note text, at timestamptz DEFAULT now(), PRIMARY KEY (client, id))'

first_rows() {
  sql "$1" -c "INSERT INTO trip SELECT 'car' || g, 0, 'first', timestamptz 'epoch' FROM generate_series(0, $CLIENTS - 1) g UNION ALL SELECT 'probe', 0, 'first', timestamptz 'epoch'" \
    -c 'CREATE SEQUENCE IF NOT EXISTS run START 1000000000' -c 'VACUUM ANALYZE trip'
}

# fabric SENDER RECEIVER…: a fabric of the first as core and the others as edges.
fabric() {
  local n i=0
  sql "$1" -c 'CREATE EXTENSION vectorshard CASCADE' -c 'CREATE ROLE fabric LOGIN IN ROLE vectorshard_peer' 2>/dev/null
  sql "$1" -c "SELECT vectorshard.create_fabric('$1', ST_SetSRID(ST_MakePoint(0, 0), 4326))" \
    -c "CREATE USER MAPPING FOR CURRENT_USER SERVER fabric OPTIONS (user 'fabric')" -c "$TABLE" \
    -c "SELECT vectorshard.create_vector_shard_table('trip', 'client')" >/dev/null
  for n in "${@:2}"; do
    i=$((i + 1))
    sql "$n" -c 'CREATE EXTENSION vectorshard CASCADE' -c 'CREATE ROLE fabric LOGIN IN ROLE vectorshard_peer' 2>/dev/null
    sql "$n" -c "CREATE SERVER hub FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '127.0.0.1', port '${PORT[$1]}', dbname 'postgres')" \
      -c "CREATE USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (user 'fabric')" \
      -c "SELECT vectorshard.join_fabric('$n', 'hub', ST_SetSRID(ST_MakePoint($i, 0), 4326), kind => 'edge')" >/dev/null
  done
}
# hold RECEIVER CONDITION COUNT: wishes the clients of the condition onto a node and waits for their copies.
hold() {
  sql "$1" -c "INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version)
    SELECT client, vectorshard.self_node(), vectorshard.self_node(), now() + interval '1 day', 'bench', 0 FROM vectorshard.client WHERE $2"
  wait_sql "$1" "SELECT count(*) >= $3 FROM vectorshard.resident"
}
# wait_sql NAME[/DATABASE] QUERY…: until each gives true.
wait_sql() { "$WORK/wait" "$(conninfo "$1")" "$PATIENCE_S" "${@:2}" >/dev/null; }

setup_vectorshard() {
  local preload="shared_preload_libraries = 'vectorshard'" s
  for s in a b; do make_server vectorshard_$s "$preload" 'vectorshard.peer_queue_mb = 4096' "vectorshard.placement_mode = 'off'"; done
  start_server vectorshard_a vectorshard_b
  fabric vectorshard_a vectorshard_b
  first_rows vectorshard_a
  wait_sql vectorshard_b "SELECT count(*) > $CLIENTS FROM vectorshard.client"
  hold vectorshard_b true $((CLIENTS + 1))
}
setup_native() {
  local s
  for s in a b; do make_server native_$s; done
  start_server native_a native_b
  for s in a b; do sql native_$s -c "$TABLE"; first_rows native_$s; done
  sql native_a -c 'CREATE PUBLICATION bench FOR TABLE trip'
  sql native_b -c "CREATE SUBSCRIPTION bench CONNECTION '$(conninfo native_a)' PUBLICATION bench WITH (binary = true, copy_data = false)" 2>/dev/null
}
setup_pglogical() {
  local s settings=("shared_preload_libraries = 'pglogical'" 'track_commit_timestamp = on')
  # Newer minor releases ask for plugins of walsenders to be named.
  if "$BIN/postgres" --describe-config | grep -q '^output_plugin_libraries\b'; then settings+=("output_plugin_libraries = 'pgoutput, pglogical_output'"); fi
  for s in a b; do make_server pglogical_$s "${settings[@]}"; done
  start_server pglogical_a pglogical_b
  for s in a b; do
    sql pglogical_$s -c "$TABLE" -c 'CREATE EXTENSION pglogical'
    first_rows pglogical_$s
    sql pglogical_$s -c "SELECT pglogical.create_node('$s', '$(conninfo pglogical_$s)')" >/dev/null
  done
  sql pglogical_a -c "SELECT pglogical.replication_set_add_table('default', 'trip')" >/dev/null
  sql pglogical_b -c "SELECT pglogical.create_subscription('bench', '$(conninfo pglogical_a)', synchronize_data => false)" >/dev/null
}

# The shipper worker stands still while it is paused, as a disabled subscription does; its backlog waits in WAL.
shipper_of() { sql "$1" -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'"; }
pause_vectorshard() { PAUSED=$(shipper_of vectorshard_a); kill -STOP "$PAUSED"; }
resume_vectorshard() { kill -CONT "$PAUSED"; PAUSED=; }
pause_native() { sql native_b -c 'ALTER SUBSCRIPTION bench DISABLE'; wait_sql native_a 'SELECT NOT bool_or(active) FROM pg_replication_slots'; }
resume_native() { sql native_b -c 'ALTER SUBSCRIPTION bench ENABLE'; }
pause_pglogical() {
  sql pglogical_b -c "SELECT pglogical.alter_subscription_disable('bench', true)" >/dev/null
  wait_sql pglogical_a 'SELECT NOT bool_or(active) FROM pg_replication_slots'
}
resume_pglogical() { sql pglogical_b -c "SELECT pglogical.alter_subscription_enable('bench', true)" >/dev/null; }
ready_vectorshard() { wait_sql vectorshard_a 'SELECT bool_and(connected) FROM vectorshard.ship_lag'; }
ready_native() { wait_sql native_a 'SELECT bool_or(active) FROM pg_replication_slots'; }
ready_pglogical() { wait_sql pglogical_a 'SELECT bool_or(active) FROM pg_replication_slots'; }
