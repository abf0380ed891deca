-- Deciding: the wish for the node that serves, hints and bans, what explain_placement tells, the views, bad input.
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
CREATE TABLE place_item (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('place_item', 'client');
INSERT INTO place_item VALUES ('pla1'), ('pla2'), ('pla3');

-- A client that reports here is wished here; the row is not written again while it lasts.
SELECT vectorshard.report('pla1', pg_temp.at(-122.4, 37.8), observed_at => now() - interval '2 s');
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.wish WHERE client = 'pla1')$$);
SELECT client, node, planner, reason, until BETWEEN now() + interval '20 s' AND now() + interval '31 s' AS until FROM vectorshard.wish WHERE client = 'pla1';
SELECT _version AS before FROM vectorshard.wish WHERE client = 'pla1' \gset
SELECT vectorshard.report('pla1', pg_temp.at(-122.4, 37.8)), vectorshard.report('pla2', pg_temp.at(-122.4, 37.8));
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.wish WHERE client = 'pla2')$$);
SELECT _version = :before AS unchanged FROM vectorshard.wish WHERE client = 'pla1';
SELECT client, node, state, reason, planner, home, is_home, held_since > now() - interval '1 hour' AS held_since
  FROM vectorshard.placements WHERE client LIKE 'pla%' ORDER BY client;
SELECT node, probability, earliest_s, eta_s, arrivals_per_h, lead_s, value, rank, tier, policy, regexp_replace(decision, 'wish(ed)? for \d+ s', 'wished') AS decision, reason FROM vectorshard.explain_placement('pla1');
-- Reported, but without rows anywhere; without reports; nobody.
SELECT vectorshard.report('pla_none', pg_temp.at(0, 0));
SELECT * FROM vectorshard.explain_placement('pla_none');
SELECT * FROM vectorshard.explain_placement('pla3');
SELECT * FROM vectorshard.explain_placement('nobody');

-- Hints: wished when their time comes, though nobody reports the client; ended early.
SELECT vectorshard.hint('pla3', 'alone', now() + interval '1 day', now() + interval '2 days');
SELECT vectorshard.hint('pla3', 'alone', now(), now() + interval '1 hour');
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.wish WHERE client = 'pla3')$$);
SELECT w.until = p.valid_to AS for_all_of_it, w.reason FROM vectorshard.wish w JOIN vectorshard.policy p USING (client) WHERE client = 'pla3';
SELECT node, regexp_replace(decision, 'wish(ed)? for \d+ s', 'wished') AS decision, reason FROM vectorshard.explain_placement('pla3');
SELECT vectorshard.hint('pla3', 'alone', now(), now());
SELECT until <= now() AS ended, reason FROM vectorshard.wish WHERE client = 'pla3';

-- A ban holds even for the node that serves.
SELECT vectorshard.forbid('pla2', 'alone');
CALL pg_temp.wait_for($$NOT EXISTS (SELECT FROM vectorshard.wish WHERE client = 'pla2' AND until > clock_timestamp())$$);
SELECT node, decision, reason FROM vectorshard.explain_placement('pla2');
SELECT vectorshard.forbid('pla2', 'alone', now(), now());
SELECT node, regexp_replace(decision, 'wish(ed)? for \d+ s', 'wished') AS decision, reason FROM vectorshard.explain_placement('pla2');

SELECT vectorshard.hint(NULL, 'alone');
SELECT vectorshard.hint('pla1', 'nowhere');
SELECT vectorshard.hint('nobody', 'alone');
SELECT vectorshard.hint('pla1', 'alone', '2100-01-02', '2100-01-01');
SELECT vectorshard.forbid('pla1', NULL);
SELECT vectorshard.forbid('pla1', 'nowhere');

SELECT node, arrivals, hits, misses, hit_ratio, copies, wasted_copies, wishes > 0 AS wishes, active_clients > 0 AS active,
       copies_held, surplus_per_active_client FROM vectorshard.placement_quality;

CREATE ROLE regress_place;
SET ROLE regress_place;
SELECT * FROM vectorshard.explain_placement('pla1');
SELECT vectorshard.hint('pla1', 'alone');
SELECT vectorshard.forbid('pla1', 'alone');
SELECT * FROM vectorshard.placements;
RESET ROLE;
GRANT pg_monitor TO regress_place;
SET ROLE regress_place;
SELECT count(*) > 0 FROM vectorshard.placements;
SELECT count(*) FROM vectorshard.placement_quality;
SELECT count(*) > 0 FROM vectorshard.telemetry_refusals;
SELECT count(*) > 0 FROM vectorshard.explain_placement('pla1');
RESET ROLE;
DROP ROLE regress_place;
SELECT vectorshard.undistribute_table('place_item');
DROP TABLE place_item;
