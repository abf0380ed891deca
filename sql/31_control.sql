-- Policies: each kind, by name and by place, for one client and for all; what they say in explain_placement; ended; bad input; rights.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.at(lon float8, lat float8) RETURNS geometry LANGUAGE sql AS 'SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326)';
CREATE FUNCTION pg_temp.box(west float8, south float8, east float8, north float8) RETURNS geometry LANGUAGE sql
  AS 'SELECT ST_MakeEnvelope(west, south, east, north, 4326)';
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
SELECT round(ST_X(location)::numeric, 2) AS lon, round(ST_Y(location)::numeric, 2) AS lat FROM vectorshard.nodes;
CREATE TABLE control_item (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('control_item', 'client');
INSERT INTO control_item VALUES ('ctl1'), ('ctl2'), ('ctl3');

-- A hint by place: the node that serves the place. Literals of unknown type name a node.
SELECT vectorshard.hint('ctl1', pg_temp.at(-122.4, 37.8), now(), now() + interval '1 hour');
CALL pg_temp.wait_for($$EXISTS (SELECT FROM vectorshard.wish WHERE client = 'ctl1')$$);
SELECT node, reason FROM vectorshard.wish WHERE client = 'ctl1';
BEGIN;  -- the navigator plans anew as soon as it hears of the end, and may write another wish over the one that ended
SELECT vectorshard.hint('ctl1', pg_temp.at(-122.4, 37.8)::geography, now(), now());
SELECT until <= now() AS ended, reason FROM vectorshard.wish WHERE client = 'ctl1';
COMMIT;
SELECT vectorshard.hint('ctl1', 'alone', now() + interval '1 day', now() + interval '2 days');

-- Bans and regions, for one client and for all. Homes stay.
SELECT vectorshard.forbid('ctl2', 'alone');
SET client_min_messages = error;  -- how many homes there are depends on the tests before
SELECT vectorshard.forbid(NULL, 'alone', '2099-12-31');
SET client_min_messages = warning;
SELECT vectorshard.confine('ctl3', pg_temp.box(-180, -90, 180, 90), valid_to => 'infinity');
SELECT vectorshard.confine(NULL, pg_temp.box(-180, -90, 180, 90), pg_temp.box(0, 0, 1, 1), '2100-01-01', '2100-01-02');
SELECT policy, client, kind, node, ST_AsText(place) AS place, ST_AsText(area) AS area, ST_AsText(while_in) AS while_in, valid_to = 'infinity' AS for_ever, in_force, given_at
  FROM vectorshard.policies WHERE client LIKE 'ctl%' OR client IS NULL ORDER BY policy;
SELECT node, decision, reason FROM vectorshard.explain_placement('ctl2');
SELECT vectorshard.report('ctl2', pg_temp.at(-122.4, 37.8));
SELECT node, tier, policy, decision, reason FROM vectorshard.explain_placement('ctl2');
SELECT vectorshard.place('ctl2', 'alone');
SELECT vectorshard.end_policy('forbid ctl2 on alone by alone');
BEGIN;  -- ctl2 is served here: the navigator wishes it here again
SELECT vectorshard.place('ctl2', 'alone');
SELECT vectorshard.end_policy('place ctl2 on alone by alone');
SELECT until <= now() AS ended, reason FROM vectorshard.wish WHERE client = 'ctl2' AND starts_with(reason, 'the pin');
COMMIT;
-- What the home has stays writable though it is banned.
SELECT vectorshard.forbid('ctl3', 'alone');
UPDATE control_item SET client = client WHERE client = 'ctl3';
SELECT vectorshard.end_policy(policy) FROM vectorshard.policies WHERE client LIKE 'ctl%' OR client IS NULL;
SELECT count(*) FROM vectorshard.policies WHERE client LIKE 'ctl%' OR client IS NULL;
-- Least copies and tier floors.
SELECT vectorshard.keep_copies('ctl1', 3);
SELECT vectorshard.keep_copies('ctl1', 2, '2100-01-01');
SELECT vectorshard.keep_copies(NULL, 1);
SELECT vectorshard.keep_tier('ctl1');
SELECT vectorshard.keep_tier(NULL, 'hot', '2100-01-01', '2100-01-02');
SELECT vectorshard.keep_copies('ctl2', 2);
SELECT node, tier, policy, regexp_replace(decision, 'wish(ed)? for \d+ s', 'wished') AS decision, reason FROM vectorshard.explain_placement('ctl2');
SELECT policy, client, kind, copies, tier, in_force FROM vectorshard.policies WHERE kind LIKE 'keep%' ORDER BY policy;
SELECT vectorshard.end_policy(policy) FROM vectorshard.policies WHERE kind LIKE 'keep%';

-- Names have one reading, and each is taken by end_policy.
INSERT INTO control_item VALUES ('ctl on alone by x'), ('ctl"4');
SET client_min_messages = error;
SELECT vectorshard.forbid('ctl on alone by x', 'alone'), vectorshard.keep_tier('ctl"4');
SET client_min_messages = warning;
SELECT vectorshard.end_policy('forbid ctl on alone by x on alone by alone');
SELECT vectorshard.end_policy(policy) FROM vectorshard.policies WHERE client LIKE 'ctl%';

-- What leaves a client no node: regions that exclude each other are refused, a ban warns. Only where times and fences meet. A second node, far away:
SET session_replication_role = replica;
INSERT INTO vectorshard.node
  SELECT (jsonb_populate_record(n, '{"node": 9, "name": "far", "kind": "edge", "registrar": false, "port": 1, "uuid": "00000000-0000-0000-0000-000000000009"}')).*
    FROM vectorshard.node n WHERE node = vectorshard.self_node();
UPDATE vectorshard.node SET location = pg_temp.at(10, 50) WHERE node = 9;
RESET session_replication_role;
SELECT vectorshard.confine('ctl1', pg_temp.box(-123, 37, -122, 38), valid_from => '2100-01-01', valid_to => '2100-02-01');
SELECT vectorshard.confine('ctl1', pg_temp.box(9, 49, 11, 51));
SELECT vectorshard.confine(NULL, pg_temp.box(9, 49, 11, 51), valid_from => '2100-01-31');
SELECT vectorshard.confine('ctl1', pg_temp.box(9, 49, 11, 51), pg_temp.box(0, 0, 2, 2), '2100-01-01');
SELECT vectorshard.confine('ctl1', pg_temp.box(9, 49, 11, 51), valid_from => '2100-02-01');
SELECT vectorshard.confine('ctl2', pg_temp.box(9, 49, 11, 51), pg_temp.box(0, 0, 2, 2), '2100-01-01');
SELECT vectorshard.confine('ctl2', pg_temp.box(-123, 37, -122, 38), pg_temp.box(3, 0, 4, 2), '2100-01-01');
SELECT vectorshard.confine('ctl2', pg_temp.box(-123, 37, -122, 38), pg_temp.box(1, 0, 4, 2), '2100-01-01');
SELECT vectorshard.forbid('ctl1', 'alone', '2100-01-10', '2100-01-20');
SELECT vectorshard.forbid(NULL, 'far', '2100-02-10');
SELECT vectorshard.confine('ctl3', pg_temp.box(9, 49, 11, 51), valid_to => '2100-02-20');
SET client_min_messages = error;  -- how many homes there are depends on the tests before
SELECT vectorshard.confine(NULL, pg_temp.box(9, 49, 11, 51), valid_from => '2099-01-01', valid_to => '2099-01-02') AS for_all \gset
SET client_min_messages = warning;
SELECT vectorshard.check_nodes_left(:'for_all');
SELECT policy FROM vectorshard.policies WHERE client LIKE 'ctl%' OR client IS NULL ORDER BY policy;
SELECT vectorshard.end_policy('confine ctl1 to area 1 by alone');
SELECT vectorshard.end_policy(policy) FROM vectorshard.policies WHERE client LIKE 'ctl%' OR client IS NULL;
SET session_replication_role = replica;
DELETE FROM vectorshard.node WHERE node = 9;
RESET session_replication_role;

-- A client that nobody knows is not born where every client is banned.
SET client_min_messages = error;
SELECT vectorshard.forbid(NULL, 'alone', now(), now() + interval '1 minute');
SET client_min_messages = warning;
INSERT INTO control_item VALUES ('ctl_new');
SELECT vectorshard.forbid(NULL, 'alone', now(), now());
INSERT INTO control_item VALUES ('ctl_new');

-- Bad input.
SELECT vectorshard.hint(NULL, 'alone');
SELECT vectorshard.hint('ctl1', NULL::geometry);
SELECT vectorshard.hint('ctl1', ST_MakePoint(1, 2));
BEGIN;  -- places of other SRIDs, and of a local plane
SELECT round(split_part(vectorshard.hint('ctl1', ST_SetSRID(ST_MakePoint(2683000, 1248000), 2056)), ' ', 4)::numeric, 3) AS lon;
SET LOCAL vectorshard.plane_origin = '8.5 47.25';
SELECT round(split_part(vectorshard.hint('ctl1', ST_MakePoint(1000, 1000)), ' ', 4)::numeric, 3) AS lon;
ROLLBACK;
SELECT vectorshard.hint('ctl1', pg_temp.at(200, 100));
SELECT vectorshard.hint('ctl1', pg_temp.box(0, 0, 1, 1));
SELECT vectorshard.hint('nobody', pg_temp.at(0, 0));
SELECT vectorshard.forbid(NULL, NULL);
SELECT vectorshard.forbid('ctl1', 'alone', NULL);
SELECT vectorshard.confine('ctl1', NULL);
SELECT vectorshard.confine('ctl1', pg_temp.at(0, 0));
SELECT vectorshard.confine('ctl1', 'POLYGON((0 0, 1 1, 0 1, 1 0, 0 0))'::geometry);
SELECT vectorshard.confine('ctl1', ST_SetSRID('POLYGON((0 0, 2 2, 0 2, 2 0, 0 0))'::geometry, 4326));
SELECT vectorshard.confine('ctl1', pg_temp.box(-180, -90, 180, 90), ST_SetSRID('POLYGON EMPTY'::geometry, 4326));
SELECT vectorshard.confine('ctl1', pg_temp.box(10, 10, 11, 11));
SELECT vectorshard.confine('nobody', pg_temp.box(-180, -90, 180, 90));
SELECT vectorshard.confine('ctl1', pg_temp.box(-180, -90, 180, 90), valid_from => '2100-01-02', valid_to => '2100-01-01');
SELECT vectorshard.keep_copies('ctl1', 0);
SELECT vectorshard.keep_copies('ctl1', NULL);
SELECT vectorshard.keep_copies('nobody', 2);
SELECT vectorshard.keep_tier('ctl1', 'archive');
SELECT vectorshard.keep_tier('ctl1', NULL);
SELECT vectorshard.keep_tier('nobody');
SELECT vectorshard.end_policy('never mind');
SELECT vectorshard.end_policy(NULL);

CREATE ROLE regress_control;
SET ROLE regress_control;
SELECT vectorshard.hint('ctl1', pg_temp.at(0, 0));
SELECT vectorshard.hint('ctl1', pg_temp.at(0, 0)::geography);
SELECT vectorshard.confine('ctl1', pg_temp.box(-180, -90, 180, 90));
SELECT vectorshard.keep_copies('ctl1', 2);
SELECT vectorshard.keep_tier('ctl1');
SELECT vectorshard.end_policy('hint ctl1');
SELECT vectorshard.bans_of('{ctl1}', 1);
SELECT * FROM vectorshard.policies;
RESET ROLE;
-- Who was granted one of these needs no other right.
GRANT EXECUTE ON FUNCTION vectorshard.hint(text, geography, timestamptz, timestamptz), vectorshard.confine, vectorshard.forbid, vectorshard.keep_copies, vectorshard.keep_tier,
  vectorshard.place, vectorshard.end_policy TO regress_control;
SET ROLE regress_control;
SELECT vectorshard.end_policy(p) FROM unnest(ARRAY[vectorshard.hint('ctl1', pg_temp.at(0, 0)::geography), vectorshard.confine('ctl1', pg_temp.box(-180, -90, 180, 90)),
  vectorshard.forbid('ctl1', 'alone', '2100-01-01'), vectorshard.keep_copies('ctl1', 2), vectorshard.keep_tier('ctl1'), vectorshard.place('ctl1', 'alone')]) AS p;
RESET ROLE;
DROP OWNED BY regress_control;
GRANT pg_monitor TO regress_control;
SET ROLE regress_control;
SELECT count(*) > -1 FROM vectorshard.policies;
RESET ROLE;
DROP ROLE regress_control;
SELECT vectorshard.undistribute_table('control_item');
DROP TABLE control_item;
