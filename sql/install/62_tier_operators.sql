-- Tier: what operators look at: moves, what lies where and what it costs.

CREATE FUNCTION vectorshard.tier_progress(OUT move bigint, OUT phase text, OUT rows bigint, OUT rows_total bigint, OUT bytes bigint, OUT bytes_total bigint,
                                          OUT elapsed_s float8) RETURNS SETOF record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_tier_progress';
COMMENT ON FUNCTION vectorshard.tier_progress() IS 'internal: how far the tiering worker is in the phase of the move that it is at; no row: it is at none';

-- What a move that is not done has done, will have, and how long that may take: the phase that it is in goes on as it went, later ones take
-- as long a row as they took in moves of the last week, or as the phase before. It looks at the catalog alone: who looks must neither wait for
-- a lock nor hold up the move by one.
CREATE FUNCTION vectorshard.move_estimate(move bigint, OUT phase text, OUT rows bigint, OUT rows_expected bigint, OUT bytes bigint, OUT bytes_expected bigint,
                                          OUT left_s float8)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  p record;
  done float8;    -- of the phase, as a share
  pace float8;    -- seconds a row of the phase
  past record;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  SELECT t.* INTO p FROM vectorshard.tier_progress() t WHERE t.move = move AND t.phase <> '';
  phase := p.phase;
  IF m.direction = 'hot' THEN
    SELECT s.rows, s.bytes INTO rows_expected, bytes_expected FROM vectorshard.segment s WHERE s.segment = m.segment;
  ELSIF m.rows IS NOT NULL THEN
    rows_expected := m.rows;
    bytes_expected := m.bytes;
  ELSIF m.kind = 'partition' THEN
    SELECT c.rows, vectorshard.expected_segment_bytes(c.oid, c.rows, c.bytes) INTO rows_expected, bytes_expected
      FROM (SELECT c.oid, nullif(c.reltuples, -1)::bigint AS rows, c.relpages::bigint * current_setting('block_size')::int AS bytes
              FROM pg_class c WHERE c.oid = (m.detail ->> 'relid')::oid AND c.relkind = 'r') c;
  END IF;
  IF phase IS NOT NULL AND p.rows_total > 0 THEN rows_expected := p.rows_total; END IF;
  IF phase IN ('storing', 'verifying') THEN bytes_expected := p.bytes_total; END IF;
  rows := coalesce(m.rows, CASE WHEN phase IN ('writing', 'loading') THEN p.rows WHEN phase IS NOT NULL THEN rows_expected ELSE 0 END);
  bytes := coalesce(m.bytes, CASE phase WHEN 'storing' THEN least(p.bytes, bytes_expected) WHEN 'verifying' THEN bytes_expected
                                        WHEN 'loading' THEN (bytes_expected * least(1, p.rows::float8 / nullif(p.rows_total, 0)))::bigint ELSE 0 END);
  SELECT avg((t.detail -> 'took' ->> 'exported')::float8 / t.rows) AS exported, avg((t.detail -> 'took' ->> 'verified')::float8 / t.rows) AS verified,
         avg((t.detail -> 'took' ->> 'loaded')::float8 / t.rows) AS loaded
    INTO past FROM vectorshard.tier_move t
   WHERE t.kind = m.kind AND t.direction = m.direction AND t.store = m.store AND t.state IN ('done', 'grace') AND t.rows > 0;
  done := CASE WHEN phase IN ('writing', 'verifying', 'loading') THEN p.rows / nullif(p.rows_total, 0)::float8 ELSE p.bytes / nullif(p.bytes_total, 0)::float8 END;
  pace := CASE WHEN done > 0 THEN p.elapsed_s / done / nullif(rows_expected, 0) END;
  left_s := CASE
    WHEN m.direction = 'hot' THEN CASE WHEN phase = 'loading' THEN coalesce(pace, past.loaded) * rows_expected * (1 - least(done, 1)) WHEN m.state = 'planned' THEN past.loaded * rows_expected ELSE 0 END
    WHEN phase = 'writing' THEN coalesce(pace, past.exported) * rows_expected * (1 - least(coalesce(done, 0), 1)) + coalesce(past.verified, pace) * rows_expected
    WHEN phase = 'storing' THEN coalesce(pace * rows_expected * (1 - least(done, 1)), 0) + coalesce(past.verified, pace) * rows_expected
    WHEN phase = 'verifying' THEN coalesce(pace * rows_expected * (1 - least(done, 1)), greatest(0, past.verified * rows_expected - p.elapsed_s))
    WHEN m.state IN ('planned', 'fenced', 'settled') THEN (past.exported + past.verified) * rows_expected
    WHEN m.state = 'exported' THEN past.verified * rows_expected
    ELSE 0 END;
END $$;
COMMENT ON FUNCTION vectorshard.move_estimate(bigint) IS 'internal: how far an unfinished move is, and how long it may still take';
GRANT EXECUTE ON FUNCTION vectorshard.move_estimate(bigint) TO pg_monitor;

CREATE VIEW vectorshard.tier_moves AS
  SELECT m.move, m.kind, m.direction, m.subject, m.store, m.state, e.phase, coalesce(e.rows, m.rows) AS rows, coalesce(e.rows_expected, m.rows) AS rows_expected,
         coalesce(e.bytes, m.bytes) AS bytes, coalesce(e.bytes_expected, m.bytes) AS bytes_expected, make_interval(secs => e.left_s) AS time_left,
         m.detail ->> 'policy' AS policy, m.detail ->> 'by' AS brought_back_by,
         coalesce((m.detail ->> 'attempts')::int, 0) AS errors, m.error, m.started_at, m.changed_at,
         m.detail -> 'took' AS took
    FROM vectorshard.tier_move m
    LEFT JOIN LATERAL vectorshard.move_estimate(m.move) e ON m.state NOT IN ('done', 'failed', 'grace');
COMMENT ON VIEW vectorshard.tier_moves IS
  'moves between heap and store on this node: unfinished ones with how far they are, and ended ones for a week; took: seconds in which each state was reached from the one before';

CREATE FUNCTION vectorshard.store_class(url text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT coalesce(substring(url FROM '[?&](?:class|tier)=([^&]+)'), CASE WHEN url LIKE 's3:%' THEN 'STANDARD' END)
$$;
COMMENT ON FUNCTION vectorshard.store_class(text) IS 'internal: the storage class of new objects of a store; null: it has none, or the account''s own counts';
GRANT EXECUTE ON FUNCTION vectorshard.store_class(text) TO pg_monitor;

-- to_regclass() needs rights on the schema, which a monitor may lack.
CREATE FUNCTION vectorshard.monitored_table(table_name text) RETURNS oid
  LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$ SELECT to_regclass($1)::oid $$;
COMMENT ON FUNCTION vectorshard.monitored_table(text) IS 'internal: a table by its name in the fabric, null if there is none';
GRANT EXECUTE ON FUNCTION vectorshard.monitored_table(text) TO pg_monitor;

CREATE VIEW vectorshard.tier_usage AS
  SELECT 'hot' AS tier, NULL::text AS store, NULL::text AS class, t.table_name,
         CASE WHEN t.kind = 'vector_shard' THEN (SELECT count(*) FROM vectorshard.resident) END AS clients,
         greatest(c.reltuples, 0)::bigint AS rows, pg_catalog.pg_table_size(c.oid) AS bytes, NULL::bigint AS segments,
         vectorshard.month_cost('', pg_catalog.pg_total_relation_size(c.oid)) AS month_cost,
         NULL::bigint AS back_by_prediction, NULL::bigint AS back_by_access
    FROM vectorshard.shard_table t JOIN pg_catalog.pg_class c ON c.oid = vectorshard.monitored_table(t.table_name)
   WHERE t.state = 'enrolled'
  UNION ALL
  SELECT CASE WHEN s.state = 'dead' THEN 'dead' WHEN st.thaw_s > 0 THEN 'archive' ELSE 'cold' END, s.store, vectorshard.store_class(st.url), s.table_name,
         CASE s.state WHEN 'live' THEN sum(k.clients)::bigint END,
         sum(CASE WHEN s.kind = 'client' AND s.state = 'live' THEN coalesce(k.rows, 0) ELSE s.rows END)::bigint, sum(s.bytes)::bigint, count(*),
         vectorshard.month_cost(s.store, sum(s.bytes)::float8), NULL, NULL
    FROM vectorshard.segment s
    LEFT JOIN vectorshard.store st ON st.store = s.store
    LEFT JOIN LATERAL (SELECT count(*) AS clients, sum(c.rows) AS rows FROM vectorshard.cold_client c
                        WHERE c.segment = s.segment AND s.kind = 'client') k ON s.kind = 'client'
   WHERE s.home = vectorshard.self_node()
   GROUP BY 1, s.state, s.store, st.url, s.table_name
  UNION ALL
  SELECT CASE WHEN st.thaw_s > 0 THEN 'archive' ELSE 'cold' END, st.store, vectorshard.store_class(st.url), NULL,
         (SELECT count(DISTINCT c.client) FROM vectorshard.cold_client c JOIN vectorshard.segment s ON s.segment = c.segment
           WHERE s.store = st.store),
         NULL, NULL, NULL, NULL,
         (SELECT count(*) FROM vectorshard.tier_move m WHERE m.store = st.store AND m.kind = 'client' AND m.direction = 'hot'
            AND m.detail ->> 'by' = 'prediction'),
         (SELECT count(*) FROM vectorshard.tier_move m WHERE m.store = st.store AND m.kind = 'client' AND m.direction = 'hot'
            AND m.detail ->> 'by' <> 'prediction')
    FROM vectorshard.store st;
COMMENT ON VIEW vectorshard.tier_usage IS
  'what this node holds in the heap and in stores, by table, and what that costs a month; the row without a table counts the clients of a store and why clients came back from it';
