-- Ship: greeting between nodes, debts that a home takes over, the view ship_lag.

CREATE FUNCTION vectorshard.check_start(node int, incarnation bigint, starts text, "position" bigint) RETURNS text
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_check_start';
COMMENT ON FUNCTION vectorshard.check_start(int, bigint, text, bigint) IS
  'internal: whether a node that greets is believed: ok, past, clone or unverified';
REVOKE ALL ON FUNCTION vectorshard.check_start(int, bigint, text, bigint) FROM PUBLIC;

CREATE FUNCTION vectorshard.hello(from_node int, my_uuid uuid, from_incarnation bigint, starts text, "position" bigint,
                                  OUT node int, OUT uuid uuid, OUT wall_ms bigint, OUT verdict text)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
DECLARE
  sender vectorshard.node;
BEGIN
  node := vectorshard.self_node();
  IF node = 0 THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'this database is not a member of a fabric',
      HINT = 'Call vectorshard.create_fabric() or vectorshard.join_fabric() first.';
  END IF;
  PERFORM vectorshard.require_certain();
  SELECT n.* INTO sender FROM vectorshard.node n WHERE n.node = from_node;
  uuid := vectorshard.boot_uuid();
  IF uuid <> my_uuid THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'this is not the node that was expected',
      DETAIL = format('It is node %s with uuid %s; expected was %s.', node, uuid, my_uuid),
      HINT = 'Correct the address of the node, or remove it and let it join anew.';
  END IF;
  -- A node whose row is on its way is not known well enough to judge.
  verdict := CASE WHEN sender.node IS NULL THEN 'ok' WHEN sender.state = 'removed' THEN 'removed' WHEN from_incarnation < sender.incarnation THEN 'past'
                  ELSE vectorshard.check_start(from_node, from_incarnation, starts, "position") END;
  wall_ms := vectorshard.wall_ms();
  -- Batches are not for the log. A setting of superusers, so it is made here.
  PERFORM set_config('log_parameter_max_length', '128', false);
END
$$;
COMMENT ON FUNCTION vectorshard.hello(int, uuid, bigint, text, bigint) IS
  'internal: a shipper greets a peer: who answers, what its clock says, and whether the sender is believed';
REVOKE ALL ON FUNCTION vectorshard.hello(int, uuid, bigint, text, bigint) FROM PUBLIC;

CREATE FUNCTION vectorshard.take_over_debt(client text, peer int) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_take_over_debt';
COMMENT ON FUNCTION vectorshard.take_over_debt(text, int) IS
  'internal: a node that let a client go hands the home what a peer still lacks of it';
REVOKE ALL ON FUNCTION vectorshard.take_over_debt(text, int) FROM PUBLIC;

CREATE FUNCTION vectorshard.ship_peers(OUT node int, OUT connected boolean, OUT queue_rows bigint, OUT queue_bytes bigint,
                                       OUT oldest_commit timestamptz, OUT last_error text) RETURNS SETOF record
  LANGUAGE c VOLATILE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'vectorshard_ship_peers';
COMMENT ON FUNCTION vectorshard.ship_peers() IS 'internal: what the shipper knows of each peer';
REVOKE ALL ON FUNCTION vectorshard.ship_peers() FROM PUBLIC;

CREATE FUNCTION vectorshard.ship_position(decoded boolean) RETURNS pg_lsn
  LANGUAGE c VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_ship_position';
COMMENT ON FUNCTION vectorshard.ship_position(boolean) IS
  'internal: up to where WAL is decoded (true), or shipped or in debt (false); null: the shipper has not run yet';
REVOKE ALL ON FUNCTION vectorshard.ship_position(boolean) FROM PUBLIC;

CREATE VIEW vectorshard.ship_lag AS
  SELECT n.name AS node, coalesce(p.connected, false) AS connected,
         coalesce(p.queue_rows, 0) AS queue_rows, coalesce(p.queue_bytes, 0) AS queue_bytes,
         coalesce(extract(epoch FROM clock_timestamp() - p.oldest_commit) * 1000, 0)::bigint AS lag_ms,
         coalesce(d.debts, 0) AS debts, d.oldest_debt, coalesce(p.last_error, d.debt_error) AS last_error,
         coalesce(d.paused, '{}') AS paused, vectorshard.ship_position(true) AS decoded_lsn, vectorshard.ship_position(false) AS confirmed_lsn
    FROM vectorshard.node n
    LEFT JOIN vectorshard.ship_peers() p ON p.node = n.node
    LEFT JOIN (SELECT peer, count(*) AS debts, min(since) AS oldest_debt, max(last_error) AS debt_error,
                      array_agg(DISTINCT table_name) FILTER (WHERE table_name <> '' AND (client <> '' OR last_error LIKE 'the columns of the table differ%')) AS paused
                 FROM vectorshard.peer_debt GROUP BY peer) d ON d.peer = n.node
   WHERE n.state <> 'removed' AND n.node <> vectorshard.self_node();
COMMENT ON VIEW vectorshard.ship_lag IS
  'what each peer still lacks of this node''s changes: queued, or in debt (clients and tables that will be synced)';
GRANT EXECUTE ON FUNCTION vectorshard.ship_peers(), vectorshard.ship_position(boolean) TO pg_monitor;
