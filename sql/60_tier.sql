-- Stores and their refusals; a client and a partition go to a store and come back, row for row.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- Reading a cold client brings it back, after a while; here only what is asked for does.
ALTER SYSTEM SET vectorshard.placement_mode = off;
SELECT pg_reload_conf();
CREATE SCHEMA tier;
SET search_path = tier, public;
CREATE TABLE trip (
  client text COLLATE "C",
  id     int,
  name   varchar(20),
  at     timestamptz,
  price  numeric(10,2),
  spot   geometry(Point, 4326),
  extra  jsonb,
  speed  float8,
  tags   text[],
  raw    bytea,
  twice  bigint GENERATED ALWAYS AS (id * 2) STORED,
  PRIMARY KEY (client, id)
);
CREATE TABLE profile (client text COLLATE "C" PRIMARY KEY, words text);
SELECT vectorshard.create_vector_shard_table('trip', 'client');
SELECT vectorshard.create_vector_shard_table('profile', 'client');
CREATE PROCEDURE wait_for(what bigint, wanted text) LANGUAGE plpgsql AS $$
DECLARE
  got text;
BEGIN
  FOR i IN 1 .. 1200 LOOP
    SELECT state INTO got FROM vectorshard.tier_moves WHERE move = what;
    COMMIT;
    IF got IN (wanted, 'done', 'failed') THEN EXIT; END IF;
    PERFORM pg_sleep(0.05);
  END LOOP;
  IF got IS DISTINCT FROM wanted THEN
    RAISE EXCEPTION 'move is %, not %: %', got, wanted, (SELECT error FROM vectorshard.tier_moves WHERE move = what);
  END IF;
END $$;

-- Stores.
DO $$ BEGIN EXECUTE format('COPY (SELECT) TO PROGRAM %L', 'cat; mkdir -p ' || current_setting('data_directory') || '/regress_store'); END $$;
SELECT vectorshard.move_to_cold('nobody');
SELECT vectorshard.create_store(NULL, 'file:///tmp');
SELECT vectorshard.create_store('a b', 'file:///tmp');
SELECT vectorshard.create_store('cold', 'ftp://bucket/folder');
SELECT vectorshard.create_store('cold', 'file://relative');
\set VERBOSITY sqlstate
SELECT vectorshard.create_store('cold', 'file:///proc/nowhere');
\set VERBOSITY default
SELECT vectorshard.create_store('cold', 'file://' || current_setting('data_directory') || '/regress_store');
SELECT vectorshard.create_store('cold', 'file://' || current_setting('data_directory') || '/regress_store');
\set VERBOSITY terse
SELECT vectorshard.create_store('cold', 'file:///tmp');
\set VERBOSITY default
SELECT store FROM vectorshard.store;
SELECT vectorshard.drop_store('warm');

-- Policies.
SELECT vectorshard.add_tier_policy(NULL, interval '-1 day', 'cold');
SELECT vectorshard.add_tier_policy(NULL, NULL, 'warm');
SELECT vectorshard.add_tier_policy('trip', interval '1 day', 'cold');
SELECT vectorshard.remove_tier_policy(NULL);
SELECT vectorshard.add_tier_policy(NULL, interval '1000 years', 'cold');
SELECT table_name, move_after, store, moving, moved, rows, bytes, paused FROM vectorshard.tier_policies;
SELECT vectorshard.drop_store('cold');
SELECT vectorshard.remove_tier_policy(NULL);

-- A client: every type comes back as it was, versions included; tombstones stay.
INSERT INTO trip (client, id, name, at, price, spot, extra, speed, tags, raw)
  SELECT c, i, CASE WHEN i % 5 > 0 THEN 'n' || i END, timestamptz '2020-01-01 12:00:00.123456+00' + i * interval '1 day', i / 3.0,
         ST_SetSRID(ST_MakePoint(i, -i), 4326), jsonb_build_object('i', i), CASE WHEN i = 3 THEN 'NaN'::float8 ELSE sqrt(i) END,
         ARRAY['a', NULL, 'é' || i], decode(md5(i::text), 'hex')
    FROM unnest(ARRAY['car1', 'car2', 'ca"r,3']) c, generate_series(1, 200) i;
INSERT INTO trip (client, id, at) VALUES ('car1', 1000, 'infinity'), ('car1', 1001, '-infinity');
INSERT INTO profile VALUES ('car1', repeat('long ', 5000)), ('car2', ''), ('ca"r,3', NULL);
DELETE FROM trip WHERE client = 'car1' AND id BETWEEN 10 AND 12;
CREATE TEMP TABLE truth AS SELECT t.client, count(*) AS rows, md5(string_agg(t::text, '|' ORDER BY id)) AS hash FROM ONLY trip t GROUP BY 1;
CREATE TEMP TABLE truth_profile AS SELECT * FROM ONLY profile;
SELECT vectorshard.move_to_cold('car1', 'warm');
SELECT vectorshard.move_to_cold('trip');
SELECT vectorshard.move_to_hot('nobody');
SELECT vectorshard.move_to_hot('car1');
SELECT vectorshard.move_to_cold('car1') AS move \gset
CALL wait_for(:move, 'done');
SELECT vectorshard.move_to_cold('ca"r,3', 'cold') AS move \gset
CALL wait_for(:move, 'done');
SELECT client, count(*) FROM ONLY trip GROUP BY 1 ORDER BY 1;
-- Read where they lie.
SELECT client, x.rows = t.rows AS same_count, x.hash = t.hash AS same_rows
  FROM truth t JOIN (SELECT t.client, count(*) AS rows, md5(string_agg(t::text, '|' ORDER BY id)) AS hash FROM trip t GROUP BY 1) x
  USING (client) ORDER BY 1;
SELECT id, name, price, twice, tags FROM trip WHERE client = 'ca"r,3' AND id < 3 ORDER BY id;
SELECT count(*) FROM trip JOIN profile USING (client) WHERE words LIKE 'long%';
SET force_parallel_mode = regress;
SELECT count(*), sum(twice) FROM trip;
RESET force_parallel_mode;
SELECT client, state, store FROM vectorshard.holder WHERE client IN ('car1', 'car2', 'ca"r,3') ORDER BY 1;
-- A row of this node that comes back from a peer may tell where they lay, not where they lie.
SET session_replication_role = replica;
UPDATE vectorshard.holder SET store = 'elsewhere' WHERE client = 'car1';
RESET session_replication_role;
SELECT generation AS told FROM vectorshard.holder WHERE client = 'ca"r,3' \gset
SELECT vectorshard.restate_holdings();
SELECT state, store FROM vectorshard.holder WHERE client = 'car1';
SELECT generation = :told AS untouched FROM vectorshard.holder WHERE client = 'ca"r,3';
SELECT client, count(*) AS segments, sum(rows) AS rows FROM vectorshard.cold_client GROUP BY 1 ORDER BY 1;
SELECT tier, store, class, table_name, clients, rows, segments, month_cost FROM vectorshard.tier_usage WHERE tier = 'cold' ORDER BY table_name;
-- What is not known is not invented; what is, is reckoned with.
SELECT vectorshard.set_store_price('warm', 0.02);
SELECT vectorshard.set_store_price('cold', -1);
SELECT vectorshard.set_store_price('cold', gb_month => 1e9);
SELECT table_name, round(month_cost * 1.073741824) = bytes AS costs FROM vectorshard.tier_usage WHERE tier = 'cold' AND segments > 0 ORDER BY table_name;
SELECT DISTINCT month_cost FROM vectorshard.tier_usage WHERE tier = 'hot';
SELECT vectorshard.set_store_price(NULL, gb_month => 0.1);
SELECT count(*) > 0 FROM vectorshard.tier_usage WHERE tier = 'hot' AND table_name = 'tier.trip' AND round(month_cost * 1.073741824e10) = pg_total_relation_size('trip');
SELECT rows, heap_bytes > segment_bytes AS smaller, measured_rows > 0 AS measured, month_before > 0 AS before, month_after > 0 AS after, move_cost, back_cost FROM vectorshard.expected_move('car2');
SELECT vectorshard.expected_move('nobody');
SELECT count(*) FROM vectorshard.tombstone WHERE client = 'car1';
SELECT vectorshard.move_to_cold('car1');
SELECT vectorshard.drop_store('cold');
-- Rolled back, it stays cold.
BEGIN;
SELECT vectorshard.move_to_hot('car1');
SELECT count(*) FROM ONLY trip WHERE client = 'car1';
ROLLBACK;
SELECT count(*) FROM ONLY trip WHERE client = 'car1';
SELECT vectorshard.move_to_hot('car1');
-- A write brings back by itself.
INSERT INTO trip (client, id) VALUES ('ca"r,3', 2000);
SELECT client, x.rows = t.rows AS same_count, x.hash = t.hash AS same_rows
  FROM truth t JOIN (SELECT t.client, count(*) AS rows, md5(string_agg(t::text, '|' ORDER BY id)) AS hash
                       FROM ONLY trip t WHERE id < 2000 GROUP BY 1) x USING (client) ORDER BY 1;
SELECT count(*) FROM ONLY profile p JOIN truth_profile t ON p = t;
SELECT client, state, store FROM vectorshard.holder WHERE client IN ('car1', 'car2', 'ca"r,3') ORDER BY 1;
SELECT count(*) FROM vectorshard.cold_client;
SELECT subject, direction, state, rows FROM vectorshard.tier_moves ORDER BY move;

-- A damaged object is noticed, and its rows are not half brought back.
SELECT vectorshard.move_to_cold('car2') AS move \gset
CALL wait_for(:move, 'done');
DO $$ BEGIN
  EXECUTE format('COPY (SELECT) TO PROGRAM %L', (SELECT format('cat; truncate -s -1 %s/regress_store/%s', current_setting('data_directory'), object_key)
    FROM vectorshard.segment WHERE table_name = 'tier.trip' AND state = 'live' AND segment IN (SELECT segment FROM vectorshard.cold_client)));
END $$;
\set VERBOSITY sqlstate
SELECT vectorshard.move_to_hot('car2');
SELECT count(*) FROM ONLY trip WHERE client = 'car2';
DO $$ BEGIN
  EXECUTE format('COPY (SELECT) TO PROGRAM %L', (SELECT format('cat; rm %s/regress_store/%s', current_setting('data_directory'), object_key)
    FROM vectorshard.segment WHERE table_name = 'tier.trip' AND state = 'live' AND segment IN (SELECT segment FROM vectorshard.cold_client)));
END $$;
SELECT vectorshard.move_to_hot('car2');
\set VERBOSITY default

-- Partitions: what cannot move.
CREATE TABLE event (id bigint NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
CREATE TABLE event_2020 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE event_2021 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE UNLOGGED TABLE event_rest PARTITION OF event DEFAULT;
CREATE INDEX ON event (id);
-- The owner is nobody special; what runs while his table is loaded runs with his rights.
CREATE ROLE regress_tier_owner;
GRANT USAGE, CREATE ON SCHEMA tier TO regress_tier_owner;
CREATE FUNCTION checked(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_user <> 'regress_tier_owner' AND (SELECT backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid()) LIKE 'vectorshard%' THEN
    RAISE EXCEPTION 'runs as %', current_user;
  END IF;
  RETURN true;
END $$;
ALTER TABLE event ADD CHECK (tier.checked(id));
ALTER TABLE event OWNER TO regress_tier_owner;
ALTER TABLE event_2020 OWNER TO regress_tier_owner;
CREATE TABLE keyed (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM (0) TO (10);
SELECT vectorshard.move_to_cold('event'::regclass);
SELECT vectorshard.move_to_cold('event_rest'::regclass);
SELECT vectorshard.move_to_cold('event_2020'::regclass, grace => '-1 day');
SELECT vectorshard.move_to_hot('event_2020'::regclass);
SELECT vectorshard.add_tier_policy('keyed', '1 day', 'cold');

-- There and back.
INSERT INTO event SELECT i, date '2020-01-01' + i, md5(i::text) FROM generate_series(0, 700) i;
CREATE TEMP TABLE event_truth AS SELECT count(*) AS rows, md5(string_agg(e::text, '|' ORDER BY id)) AS hash FROM event e;
COMMENT ON TABLE event_2020 IS 'old events';
GRANT SELECT ON event_2020 TO pg_monitor;
ANALYZE event;
SELECT rows, heap_bytes = pg_total_relation_size('event_2020') AS heap, segment_bytes = ceil(pg_table_size('event_2020') / 7.0) AS by_default, measured_rows, move_cost, back_cost
  FROM vectorshard.expected_move('event_2020'::regclass);
SELECT vectorshard.expected_move('event_rest'::regclass);
DROP TABLE event_rest;  -- beside a default partition, too, a partition becomes a stub
SELECT vectorshard.move_to_cold('event_2020'::regclass, grace => '0 s') AS move \gset
CALL wait_for(:move, 'done');
SELECT vectorshard.set_store_price('cold', 1, 1000, 2);
SELECT segment_bytes = ceil(e.rows * s.bytes / s.rows::float8) AS measured, measured_rows, round(move_cost) AS two_requests, round(back_cost) AS one
  FROM vectorshard.expected_move('event_2021'::regclass) e, vectorshard.segment s WHERE s.table_name = 'tier.event_2020' AND s.state = 'live';
SELECT relname, relkind, relispartition, obj_description(oid) FROM pg_class WHERE relname LIKE 'event\_2020%' AND relkind IN ('r', 'f') ORDER BY 1;
SELECT has_table_privilege('pg_monitor', 'event_2020', 'SELECT');
SELECT t.rows = x.rows AS same_count, t.hash = x.hash AS same_rows
  FROM event_truth t, (SELECT count(*) AS rows, md5(string_agg(e::text, '|' ORDER BY id)) AS hash FROM event e) x;
SET force_parallel_mode = regress;
SELECT count(*) FROM event;
RESET force_parallel_mode;
DELETE FROM event WHERE id = 5;
SELECT vectorshard.move_to_cold('event_2020'::regclass);
SELECT vectorshard.move_to_hot('event_2020'::regclass, grace => '0 s') AS move \gset
CALL wait_for(:move, 'done');
SELECT relname, relkind, relispartition, obj_description(oid) FROM pg_class WHERE relname LIKE 'event\_2020%' AND relkind IN ('r', 'f') ORDER BY 1;
SELECT t.rows = x.rows AS same_count, t.hash = x.hash AS same_rows
  FROM event_truth t, (SELECT count(*) AS rows, md5(string_agg(e::text, '|' ORDER BY id)) AS hash FROM event e) x;
SELECT tableowner FROM pg_tables WHERE tablename = 'event_2020';
INSERT INTO event VALUES (1, '2020-05-05', 'writable again');
-- An empty partition is left alone, and is writable afterwards.
DELETE FROM event_2021;
SELECT vectorshard.move_to_cold('event_2021'::regclass) AS move \gset
CALL wait_for(:move, 'failed');
SELECT error FROM vectorshard.tier_moves WHERE move = :move;
INSERT INTO event VALUES (2, '2021-05-05', 'here');
-- A policy finds what ended long ago.
CREATE TABLE event_2019 PARTITION OF event FOR VALUES FROM ('2019-01-01') TO ('2020-01-01');
INSERT INTO event VALUES (3, '2019-05-05', 'old');
SELECT vectorshard.add_tier_policy('event', interval '1 year', 'cold');
SELECT table_name, due FROM vectorshard.tier_policies;
SELECT kind, subject, store, rows, heap_bytes > 0 AS heap, segment_bytes > 0 AS segment, refused FROM vectorshard.expected_moves();
CALL vectorshard.run_tiering_and_wait();
SELECT * FROM vectorshard.expected_moves();
SELECT table_name, move_after, store, due, moving, moved, rows, bytes > 0 AS bytes, paused, last_run <= now() AS has_run, last_error FROM vectorshard.tier_policies;
SELECT * FROM vectorshard.run_tiering();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM vectorshard.run_tiering();
ROLLBACK;
SELECT move FROM vectorshard.tier_moves WHERE subject = 'tier.event_2019' \gset
SELECT vectorshard.pause_tier_policy('event');
SELECT table_name, paused FROM vectorshard.tier_policies;
SELECT vectorshard.resume_tier_policy('event');
SELECT vectorshard.remove_tier_policy('event');
SELECT vectorshard.pause_tier_policy(NULL);
SELECT vectorshard.resume_tier_policy('event');
-- A monitor sees all of it.
CREATE ROLE regress_tier_monitor IN ROLE pg_monitor;
SET ROLE regress_tier_monitor;
SELECT (SELECT count(*) FROM vectorshard.tier_policies) AS policies, (SELECT count(*) > 0 FROM vectorshard.tier_moves WHERE rows_expected = rows) AS moves,
       (SELECT count(*) > 0 FROM vectorshard.tier_usage WHERE month_cost > 0) AS usage;
RESET ROLE;
DROP ROLE regress_tier_monitor;
SELECT 'event_2019_moved_' || :move AS kept \gset
-- A partition with a key stays attached.
INSERT INTO keyed VALUES (1), (2);
SELECT vectorshard.move_to_cold('keyed_1'::regclass, grace => '0 s') AS move \gset
CALL wait_for(:move, 'done');
SELECT relkind, amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = 'keyed_1';
SELECT * FROM keyed ORDER BY id;
DELETE FROM keyed WHERE id = 3;
DELETE FROM keyed WHERE id = 1;
INSERT INTO keyed VALUES (3);
SELECT vectorshard.move_to_cold('keyed_1'::regclass);
SELECT vectorshard.move_to_hot('keyed_1'::regclass, grace => '0 s') AS move \gset
CALL wait_for(:move, 'done');
INSERT INTO keyed VALUES (1);
DELETE FROM keyed WHERE id = 1 RETURNING id;
DROP TABLE event, keyed;
-- The kept heap is an ordinary table, and without its partition the segment is dead.
SELECT * FROM :kept;
SELECT vectorshard.retire_segments();
SELECT state FROM vectorshard.segment WHERE table_name = 'tier.event_2019';
DROP TABLE :kept;
DROP OWNED BY regress_tier_owner;
DROP ROLE regress_tier_owner;
ALTER SYSTEM RESET vectorshard.placement_mode;
SELECT pg_reload_conf();
