-- Tier: what operators look at: moves, what lies where and what it costs.

CREATE VIEW vectorshard.tier_moves AS
  SELECT m.move, m.kind, m.direction, m.subject, m.store, m.state, m.rows, m.bytes, m.detail ->> 'by' AS brought_back_by,
         coalesce((m.detail ->> 'attempts')::int, 0) AS errors, m.error, m.started_at, m.changed_at,
         m.detail -> 'took' AS took
    FROM vectorshard.tier_move m;
COMMENT ON VIEW vectorshard.tier_moves IS 'moves between heap and store on this node: unfinished ones, and ended ones for a week; took: seconds in which each state was reached from the one before';

CREATE FUNCTION vectorshard.store_class(url text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT coalesce(substring(url FROM '[?&](?:class|tier)=([^&]+)'), CASE WHEN url LIKE 's3:%' THEN 'STANDARD' END)
$$;
COMMENT ON FUNCTION vectorshard.store_class(text) IS 'internal: the storage class of new objects of a store; null: it has none, or the account''s own counts';

CREATE VIEW vectorshard.tier_usage AS
  SELECT 'hot' AS tier, NULL::text AS store, NULL::text AS class, t.table_name,
         CASE WHEN t.kind = 'vector_shard' THEN (SELECT count(*) FROM vectorshard.resident) END AS clients,
         greatest(c.reltuples, 0)::bigint AS rows, pg_catalog.pg_table_size(c.oid) AS bytes, NULL::bigint AS segments,
         vectorshard.month_cost('', pg_catalog.pg_total_relation_size(c.oid)) AS month_cost,
         NULL::bigint AS back_by_prediction, NULL::bigint AS back_by_access
    FROM vectorshard.shard_table t JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.table_name)
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
