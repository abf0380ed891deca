-- Place: how it fares, by node, hour and table; and what was decided on this node, for looking back.

CREATE INDEX decision_log_client ON vectorshard.decision_log (client, at);

CREATE FUNCTION vectorshard.decisions(client text DEFAULT NULL, since timestamptz DEFAULT now() - interval '1 day')
  RETURNS TABLE (at timestamptz, client text, node text, decision text, until timestamptz, dry_run boolean, reason text)
  LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT d.at, d.client, coalesce(n.name, format('node %s', d.node)), d.decision, d.until, d.dry_run, d.reason
      FROM vectorshard.decision_log d LEFT JOIN vectorshard.node n ON n.node = d.node
     WHERE (decisions.client IS NULL OR d.client = decisions.client) AND d.at >= coalesce(decisions.since, '-infinity')
     ORDER BY d.at DESC, d.decision_id DESC;
  END;
COMMENT ON FUNCTION vectorshard.decisions(text, timestamptz) IS
  'what this node''s navigator decided anew about a client (null: all) since then, the latest first: wishes, their ends, refusals of a new kind';
REVOKE ALL ON FUNCTION vectorshard.decisions(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.decisions(text, timestamptz) TO pg_monitor;

-- The oldest first, which lie together at one end of the primary key.
CREATE FUNCTION vectorshard.tidy_decisions(hours int, rows int, most int) RETURNS bigint
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    WITH removed AS (
      DELETE FROM vectorshard.decision_log d
       WHERE d.decision_id = ANY (ARRAY(SELECT o.decision_id FROM vectorshard.decision_log o ORDER BY o.decision_id LIMIT tidy_decisions.most))
         AND (d.at < now() - make_interval(hours => tidy_decisions.hours)
              OR d.decision_id <= (SELECT max(m.decision_id) FROM vectorshard.decision_log m) - tidy_decisions.rows)
      RETURNING 1)
    SELECT count(*) FROM removed;
  END;
COMMENT ON FUNCTION vectorshard.tidy_decisions(int, int, int) IS
  'internal: removes some decisions that are older, or more, than that; how many';

CREATE FUNCTION vectorshard.add_counts(a bigint[], b bigint[]) RETURNS bigint[]
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT array_agg(coalesce(u.x, 0) + coalesce(u.y, 0) ORDER BY u.i) FROM unnest(add_counts.a, add_counts.b) WITH ORDINALITY AS u (x, y, i);
  END;
COMMENT ON FUNCTION vectorshard.add_counts(bigint[], bigint[]) IS 'internal: sums of two arrays, element by element';

-- As core/place's buckets have it: element i counts what lies from 0.1 s * 2^((i-1)/2) to the next.
CREATE FUNCTION vectorshard.lead_median(counts bigint[]) RETURNS float8
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT 0.1 * 2 ^ ((min(u.i) - 0.5) / 2.0)
      FROM (SELECT c.i, sum(c.n) OVER (ORDER BY c.i) AS upto, sum(c.n) OVER () AS total
              FROM unnest(lead_median.counts) WITH ORDINALITY AS c (n, i)) u
     WHERE u.total > 0 AND u.upto * 2 >= u.total;
  END;
COMMENT ON FUNCTION vectorshard.lead_median(bigint[]) IS 'internal: median of leads counted in buckets, to a fifth; null: none was counted';

CREATE FUNCTION vectorshard.quality_counters(unwritten boolean)
  RETURNS TABLE (arrivals bigint, hits bigint, copies bigint, wasted bigint, wishes bigint, dry_arrivals bigint, dry_hits bigint, leads bigint[])
  LANGUAGE c VOLATILE STRICT PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'vectorshard_quality_counters';
COMMENT ON FUNCTION vectorshard.quality_counters(boolean) IS
  'internal: what is counted of placement since the server started, or what table quality does not have of it yet';
REVOKE ALL ON FUNCTION vectorshard.quality_counters(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.quality_counters(boolean) TO pg_monitor;

CREATE FUNCTION vectorshard.copied_unwritten() RETURNS TABLE (table_name text, rows bigint, bytes bigint)
  LANGUAGE c VOLATILE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'vectorshard_copied_unwritten';
COMMENT ON FUNCTION vectorshard.copied_unwritten() IS 'internal: what came here by copies and table quality does not have yet';
REVOKE ALL ON FUNCTION vectorshard.copied_unwritten() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.copied_unwritten() TO pg_monitor;
GRANT EXECUTE ON FUNCTION vectorshard.add_counts(bigint[], bigint[]), vectorshard.lead_median(bigint[]) TO pg_monitor;

-- A row for each node, and one for all of them together, whose node is null. Of this node up to now, of others up to what they told last.
CREATE VIEW vectorshard.placement_quality_hourly AS
  WITH q AS MATERIALIZED (
    SELECT w.node, w.hour, w.arrivals + coalesce(u.arrivals, 0) AS arrivals, w.hits + coalesce(u.hits, 0) AS hits,
           w.copies + coalesce(u.copies, 0) AS copies, w.wasted + coalesce(u.wasted, 0) AS wasted,
           w.wishes + coalesce(u.wishes, 0) AS wishes, w.dry_arrivals + coalesce(u.dry_arrivals, 0) AS dry_arrivals,
           w.dry_hits + coalesce(u.dry_hits, 0) AS dry_hits, vectorshard.add_counts(w.leads, u.leads) AS leads, w.held_s, w.surplus_s
      FROM (SELECT q.node, q.hour, q.arrivals, q.hits, q.copies, q.wasted, q.wishes, q.dry_arrivals, q.dry_hits, q.leads, q.held_s, q.surplus_s
              FROM vectorshard.quality q
            UNION ALL
            SELECT now.node, now.hour, 0, 0, 0, 0, 0, 0, 0, '{}', 0, 0
              FROM (SELECT vectorshard.self_node() AS node, date_trunc('hour', now(), 'UTC') AS hour) now
             WHERE now.node <> 0 AND NOT EXISTS (SELECT FROM vectorshard.quality q WHERE q.node = now.node AND q.hour = now.hour)) w
      LEFT JOIN vectorshard.quality_counters(true) u ON w.node = vectorshard.self_node() AND w.hour = date_trunc('hour', now(), 'UTC')),
  leads AS (
    SELECT l.node, l.hour, array_agg(l.n ORDER BY l.i) AS leads
      FROM (SELECT q.node, q.hour, u.i, sum(u.n)::bigint AS n FROM q CROSS JOIN LATERAL unnest(q.leads) WITH ORDINALITY AS u (n, i)
             GROUP BY GROUPING SETS ((q.node, q.hour, u.i), (q.hour, u.i))) l
     GROUP BY l.node, l.hour),
  totals AS (
    SELECT q.node, q.hour, sum(q.arrivals)::bigint AS arrivals, sum(q.hits)::bigint AS hits, sum(q.copies)::bigint AS copies,
           sum(q.wasted)::bigint AS wasted, sum(q.wishes)::bigint AS wishes, sum(q.dry_arrivals)::bigint AS dry_arrivals,
           sum(q.dry_hits)::bigint AS dry_hits, sum(q.held_s) AS held_s, sum(q.surplus_s) AS surplus_s
      FROM q GROUP BY GROUPING SETS ((q.node, q.hour), (q.hour)))
  SELECT CASE WHEN t.node IS NOT NULL THEN coalesce(n.name, format('node %s', t.node)) END AS node,
         t.hour, t.arrivals, t.hits, t.arrivals - t.hits AS misses, t.hits::float8 / nullif(t.arrivals, 0) AS hit_ratio,
         vectorshard.lead_median(l.leads) AS lead_p50_s, t.copies, t.wasted AS wasted_copies, t.wishes, t.held_s AS copy_s,
         t.surplus_s AS surplus_copy_s, t.dry_arrivals AS dry_run_arrivals, t.dry_hits AS dry_run_hits
    FROM totals t LEFT JOIN leads l ON l.hour = t.hour AND coalesce(l.node, 0) = coalesce(t.node, 0)
    LEFT JOIN vectorshard.node n ON n.node = t.node;
COMMENT ON VIEW vectorshard.placement_quality_hourly IS
  'how placement fared on each node and (node null) on all of them, by the hour, for two days, this hour up to now';

CREATE VIEW vectorshard.placement_quality_tables AS
  SELECT CASE WHEN t.node IS NOT NULL THEN coalesce(n.name, format('node %s', t.node)) END AS node,
         t.hour, t.table_name, t.rows AS rows_copied, t.bytes AS bytes_copied
    FROM (SELECT q.node, q.hour, q.table_name, sum(q.rows)::bigint AS rows, sum(q.bytes)::bigint AS bytes
            FROM (SELECT w.node, w.hour, u.table_name, u.rows, u.bytes
                    FROM vectorshard.quality w CROSS JOIN LATERAL unnest(w.tables, w.table_rows, w.table_bytes) AS u (table_name, rows, bytes)
                  UNION ALL
                  SELECT vectorshard.self_node(), date_trunc('hour', now(), 'UTC'), u.table_name, u.rows, u.bytes
                    FROM vectorshard.copied_unwritten() u) q
           GROUP BY GROUPING SETS ((q.node, q.hour, q.table_name), (q.hour, q.table_name))) t
    LEFT JOIN vectorshard.node n ON n.node = t.node;
COMMENT ON VIEW vectorshard.placement_quality_tables IS
  'what copies brought to each node and (node null) to all of them, by the hour and by table, for two days';

CREATE VIEW vectorshard.placement_quality AS
  SELECT n.name AS node, q.arrivals, q.hits, q.arrivals - q.hits AS misses,
         q.hits::float8 / nullif(q.arrivals, 0) AS hit_ratio, q.copies, q.wasted AS wasted_copies, q.wishes,
         q.active AS active_clients, held.copies AS copies_held,
         greatest(held.copies - q.active, 0)::float8 / nullif(q.active, 0) AS surplus_per_active_client,
         q.dropped AS motion_dropped, vectorshard.lead_median(c.leads) AS lead_p50_s, c.dry_arrivals AS dry_run_arrivals,
         c.dry_hits AS dry_run_hits
    FROM vectorshard.placement_counters() q
    CROSS JOIN vectorshard.quality_counters(false) c
    LEFT JOIN vectorshard.node n ON n.node = vectorshard.self_node()
    CROSS JOIN (SELECT count(*) AS copies FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client
                 WHERE c.home <> vectorshard.self_node()) held;
COMMENT ON VIEW vectorshard.placement_quality IS 'how placement fares on this node since the server started';
