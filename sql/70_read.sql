-- Read, on a single node: options, plans, what is refused, telemetry as a table. Several nodes: test/multinode/07*.
SET client_min_messages = warning;
CREATE TABLE walk (dog text, id int, note text, PRIMARY KEY (dog, id));
SELECT vectorshard.create_vector_shard_table('walk', 'dog');
INSERT INTO walk SELECT d, i, 'n' || i FROM unnest(ARRAY['rex', 'ida']) d, generate_series(1, 3) i;
ANALYZE walk;

-- Options: secrets stand in user mappings alone.
CREATE SERVER regress_peer FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host 'h', password 'p');
CREATE SERVER regress_peer FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host 'h', port '0');
CREATE SERVER regress_peer FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host 'h', colour 'red');
CREATE SERVER regress_peer FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host 'h', sslpassword 'p');
CREATE SERVER regress_peer FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host 'h', options '-c search_path=x');
CREATE SERVER regress_peer FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host 'h', port '5432', sslmode 'require', sslrootcert '/ca',
  sslcert '/cert', sslkey '/key', ssl_min_protocol_version 'TLSv1.3', keepalives_idle '10', target_session_attrs 'read-write');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_peer OPTIONS (user 'u', password 'p', sslkey '/mine', sslpassword 's');
DROP USER MAPPING FOR CURRENT_USER SERVER regress_peer;
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_peer OPTIONS (user 'u', sslmode 'disable');
CREATE FOREIGN TABLE regress_bad (a int) SERVER regress_peer OPTIONS (role 'nothing');
DROP SERVER regress_peer;

-- Every row once, whether its client is named or not; a client that nobody knows has none.
SELECT tableoid::regclass, count(*) FROM walk GROUP BY 1;
SELECT dog, count(*) FROM walk WHERE dog IN ('rex', 'none') GROUP BY 1;
SELECT count(*) FROM walk WHERE dog = 'none';
SELECT count(*) FROM walk WHERE dog = NULL;
SET vectorshard.read_scope = local;
SELECT count(*) FROM walk;
RESET vectorshard.read_scope;
SET vectorshard.read_scope = nowhere;

-- The child stands beside the heap in every plan, and asks nobody for a client that is resident.
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT note FROM walk WHERE dog = 'rex' AND id = 1;
EXPLAIN (VERBOSE, COSTS off) SELECT note FROM walk WHERE dog = ANY ('{rex,none}') AND id > 1 AND note <> upper('a') AND random() < 2;
EXPLAIN (VERBOSE, COSTS off) SELECT count(*) FROM walk WHERE note IS NOT NULL;
-- Nested loops name clients row by row.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT w.note FROM (VALUES ('rex'), ('ida')) v(d) JOIN walk w ON w.dog = v.d AND w.id = 2;
SELECT w.note FROM (VALUES ('rex'), ('ida'), ('none')) v(d) JOIN walk w ON w.dog = v.d AND w.id = 2;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_seqscan;
RESET enable_bitmapscan;
PREPARE of_dog(text) AS SELECT count(*) FROM walk WHERE dog = $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS off) EXECUTE of_dog('rex');
EXPLAIN (VERBOSE, COSTS off) EXECUTE of_dog('none');
EXECUTE of_dog('rex');
EXECUTE of_dog('none');
RESET plan_cache_mode;

-- Changes of resident rows, through plans that have the child.
UPDATE walk SET note = 'u' WHERE dog = 'rex' AND id = 1 RETURNING dog, id, note;
DELETE FROM walk WHERE dog = 'rex' AND id = 3 RETURNING dog, id;
UPDATE walk SET note = 'none' WHERE dog = 'none';
SELECT id FROM walk WHERE dog = 'rex' ORDER BY id FOR UPDATE;
INSERT INTO walk VALUES ('rex', 1, 'again') ON CONFLICT (dog, id) DO UPDATE SET note = excluded.note RETURNING note;
COPY walk (dog, id, note) FROM stdin;
rex	9	copied
\.
COPY (SELECT dog, id, note FROM walk WHERE dog = 'rex' ORDER BY id) TO stdout;

-- Refused, with a hint.
INSERT INTO walk_elsewhere VALUES ('rex', 10, 'x');
COPY walk_elsewhere FROM stdin;
\.
TRUNCATE walk;
TRUNCATE walk_elsewhere;
MERGE INTO walk w USING (SELECT 'rex' AS d) s ON w.dog = s.d WHEN MATCHED THEN DO NOTHING;
MERGE INTO ONLY walk w USING (SELECT 'rex' AS d) s ON w.dog = s.d WHEN MATCHED THEN UPDATE SET note = 'merged';
SELECT note, count(*) FROM walk WHERE dog = 'rex' GROUP BY 1;

-- What comes from the fabric's tables is read with the extension's rights, rows with the user's own.
CREATE ROLE regress_read_app;
GRANT SELECT ON walk TO regress_read_app;
SET ROLE regress_read_app;
SELECT count(*) FROM walk WHERE dog IN ('rex', 'none');
SELECT count(*) FROM walk;
SELECT count(*) FROM walk_elsewhere;
UPDATE walk SET note = 'x' WHERE dog = 'none';
INSERT INTO vectorshard.telemetry (client, lon, lat) VALUES ('rex', 8, 47);
RESET ROLE;
DROP OWNED BY regress_read_app;
DROP ROLE regress_read_app;

-- Telemetry: reports by INSERT and COPY; what is refused is not counted as a row.
INSERT INTO vectorshard.telemetry (client, lon, lat, speed_mps, heading_deg) VALUES ('rex', 8, 47, 1, 90), ('ida', 8, 47, NULL, NULL);
INSERT INTO vectorshard.telemetry (client, lon, lat, observed_at) VALUES ('rex', 8, 47, now() - interval '10 years');
COPY vectorshard.telemetry (client, lon, lat) FROM stdin;
fly	8.5	47.5
bee	8.5	47.5
\.
INSERT INTO vectorshard.telemetry (client, lon, lat) VALUES ('rex', 8, 95);
INSERT INTO vectorshard.telemetry (client, lon) VALUES ('rex', 8);
SELECT * FROM vectorshard.telemetry;
UPDATE vectorshard.telemetry SET lat = 0;
DELETE FROM vectorshard.telemetry;

SELECT vectorshard.undistribute_table('walk');
DROP TABLE walk;
