-- How placement fares, by the hour and by table; decisions kept for looking back, and removed; the median of leads; rights.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.at(lon float8, lat float8) RETURNS geometry LANGUAGE sql AS 'SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326)';
CREATE PROCEDURE pg_temp.wait_for(condition text) LANGUAGE plpgsql AS $$
DECLARE
  met boolean := false;
BEGIN
  FOR i IN 1 .. 600 LOOP
    EXECUTE 'SELECT ' || condition INTO met;
    EXIT WHEN met;
    PERFORM pg_sleep(0.05);
  END LOOP;
  IF met IS NOT TRUE THEN RAISE 'in vain: %', condition; END IF;
END $$;
CREATE TABLE quality_item (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('quality_item', 'client');
INSERT INTO quality_item VALUES ('qua1'), ('qua2');

-- A wish, the refusal of what is banned, once, and the end of the wish; a wish that is extended is no decision.
SELECT vectorshard.report('qua1', pg_temp.at(-122.4, 37.8), observed_at => now() - interval '9 s');
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.decisions('qua1'))$$);
SELECT vectorshard.report('qua1', pg_temp.at(-122.4, 37.8), observed_at => now() - interval '6 s');
SET client_min_messages = error;
SELECT vectorshard.forbid('qua1', 'alone');
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.decisions('qua1') WHERE decision = 'end')$$);
SELECT vectorshard.report('qua1', pg_temp.at(-122.4, 37.8), observed_at => now() - interval '3 s');
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.decisions('qua1') WHERE decision = 'refused')$$);
SELECT vectorshard.report('qua1', pg_temp.at(-122.4, 37.8));
SELECT vectorshard.report('qua2', pg_temp.at(-122.4, 37.8));
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.decisions('qua2'))$$);
SELECT client, node, decision, until > at + interval '20 s' AS until, dry_run, reason FROM vectorshard.decisions('qua1');
SELECT count(*) FROM vectorshard.decisions('qua1', now() + interval '1 minute');
SELECT count(DISTINCT client) >= 2 AS all_clients FROM vectorshard.decisions();
SELECT count(*) = (SELECT count(*) FROM vectorshard.decision_log) AS all_kept FROM vectorshard.decisions(NULL, NULL);

-- Old ones go, by age and by number.
UPDATE vectorshard.decision_log SET at = at - interval '25 hours' WHERE client = 'qua1';
SELECT count(*) FROM vectorshard.decisions('qua1');
SELECT vectorshard.tidy_decisions(24, 1000000, 10000) > 0 AS removed;
SELECT count(*) FROM vectorshard.decision_log WHERE client = 'qua1';
SELECT vectorshard.tidy_decisions(24, 1, 10000) >= 0 AS removed, count(*) >= 0 FROM vectorshard.decision_log;
SELECT count(*) <= 1 AS one_is_left FROM vectorshard.decision_log;
SELECT vectorshard.end_policy('forbid qua1 on alone by alone');
-- This hour is there, and adds up with what is counted since the start (but in the moment in which the worker writes it down).
CALL pg_temp.wait_for($$(SELECT sum(q.wishes) = max(t.wishes) FROM vectorshard.placement_quality_hourly q JOIN vectorshard.placement_quality t USING (node))$$);
SELECT max(q.hour) = date_trunc('hour', now()) AS this_hour, sum(q.arrivals) AS arrivals, sum(q.hits) AS hits,
       max(q.hit_ratio) AS hit_ratio, max(q.lead_p50_s) AS lead_p50_s, sum(q.copies) AS copies, sum(q.wasted_copies) AS wasted, sum(q.copy_s) AS copy_s,
       sum(q.surplus_copy_s) AS surplus_copy_s, sum(q.dry_run_arrivals) AS dry_run_arrivals, sum(q.dry_run_hits) AS dry_run_hits
  FROM vectorshard.placement_quality_hourly q JOIN vectorshard.placement_quality t USING (node);
SELECT * FROM vectorshard.placement_quality_tables;
SELECT node, lead_p50_s, dry_run_arrivals, dry_run_hits FROM vectorshard.placement_quality;
-- What nodes told, and all of them together; a node that is not known has its number.
SET session_replication_role = replica;
INSERT INTO vectorshard.quality
  SELECT v.node, date_trunc('hour', now()) - interval '3 hours', v.arrivals, v.hits, 5, 1, 20, 0, 0, v.leads::bigint[], 3600, 900, v.tables::text[], v.rows::bigint[], v.bytes::bigint[], 1
    FROM (VALUES (1, 8, 6, '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,4,1}', '{public.item,public.trip}', '{10,20}', '{1000,2000}'),
                 (2, 2, 1, '{0,0,1}', '{public.trip}', '{5}', '{500}')) v (node, arrivals, hits, leads, tables, rows, bytes);
SET session_replication_role = origin;
SELECT node, arrivals, misses, hit_ratio, round(lead_p50_s::numeric, 1) AS lead_p50_s, copies, wasted_copies, wishes, copy_s, surplus_copy_s
  FROM vectorshard.placement_quality_hourly WHERE hour < now() - interval '2 hours' ORDER BY node;
SELECT node, table_name, rows_copied, bytes_copied FROM vectorshard.placement_quality_tables ORDER BY node, table_name;
SET session_replication_role = replica;
DELETE FROM vectorshard.quality WHERE hour < now() - interval '2 hours';
SET session_replication_role = origin;

-- What placement makes of a table.
SELECT vectorshard.set_table_placement('quality_item', 3, false);
SELECT * FROM vectorshard.table_placement WHERE table_name = 'public.quality_item';
SELECT vectorshard.set_table_placement('quality_item');
SELECT * FROM vectorshard.table_placement WHERE table_name = 'public.quality_item';
SELECT vectorshard.set_table_placement('quality_item', -1);
SELECT vectorshard.set_table_placement('quality_item', 'NaN');
SELECT vectorshard.set_table_placement(NULL);
SELECT vectorshard.set_table_placement('pg_class');
-- Prices: the last call counts, one without any takes them away.
SELECT vectorshard.set_price('edge', mb_hour => 30, mb_moved => 12);
SELECT vectorshard.set_price('edge', mb_hour => 60, table_name => 'quality_item');
SELECT vectorshard.set_price('home', copy_hour => 1);
SELECT * FROM vectorshard.prices ORDER BY table_name, tier;
SELECT vectorshard.set_price('edge'), vectorshard.set_price('edge', table_name => 'quality_item');
SELECT * FROM vectorshard.prices ORDER BY table_name, tier;
SELECT vectorshard.set_price('home');
SELECT vectorshard.set_price('edge', mb_hour => 1, table_name => 'pg_class');
SELECT vectorshard.set_price('attic', 1);
SELECT vectorshard.set_price('edge', -1);
SELECT vectorshard.set_price('edge', 'NaN');

-- The buckets: half a bucket beyond the edge below.
SELECT round(vectorshard.lead_median('{1}')::numeric, 3) AS first, round(vectorshard.lead_median('{0,0,1}')::numeric, 3) AS third,
       vectorshard.lead_median('{}') AS none, vectorshard.lead_median('{0,0}') AS empty, round(vectorshard.lead_median('{5,4,100}')::numeric, 3) AS most;
SELECT vectorshard.add_counts('{1,2}', '{10,20,30}'), vectorshard.add_counts('{1}', NULL);

CREATE ROLE regress_quality;
SET ROLE regress_quality;
SELECT * FROM vectorshard.decisions();
SELECT * FROM vectorshard.placement_quality_hourly;
SELECT * FROM vectorshard.placement_quality_tables;
SELECT vectorshard.set_table_placement('quality_item');
SELECT * FROM vectorshard.table_placement;
SELECT vectorshard.set_price('edge', 1);
SELECT * FROM vectorshard.prices;
SELECT vectorshard.copy_time_ms(1);
RESET ROLE;
-- Who was granted a function needs no right on what it writes.
GRANT EXECUTE ON FUNCTION vectorshard.set_price, vectorshard.set_table_placement TO regress_quality;
SET ROLE regress_quality;
SELECT vectorshard.set_price('edge', 1), vectorshard.set_price('edge'), vectorshard.set_table_placement('quality_item');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION vectorshard.set_price, vectorshard.set_table_placement FROM regress_quality;
GRANT pg_monitor TO regress_quality;
SET ROLE regress_quality;
SELECT count(*) >= 0 FROM vectorshard.decisions();
SELECT count(*) > 0 FROM vectorshard.placement_quality_hourly;
SELECT count(*) >= 0 FROM vectorshard.placement_quality_tables;
SELECT count(*) > 0 FROM vectorshard.placement_quality;
SELECT count(*) FROM vectorshard.prices;
SELECT vectorshard.copy_time_ms(1);
SELECT * FROM vectorshard.decision_log;
RESET ROLE;
DROP ROLE regress_quality;
SELECT vectorshard.undistribute_table('quality_item');
DROP TABLE quality_item;
