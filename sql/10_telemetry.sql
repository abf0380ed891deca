-- Reports: what is taken, what is refused and counted, what is an error; arrays; handovers; who may; the checkpoint.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.at(lon float8, lat float8) RETURNS geometry LANGUAGE sql AS 'SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326)';
CREATE TEMP TABLE counted AS SELECT * FROM vectorshard.telemetry_counters();
CREATE FUNCTION pg_temp.more() RETURNS TABLE (name text, more bigint) LANGUAGE sql AS
  'SELECT c.name, n.count - c.count FROM counted c JOIN vectorshard.telemetry_counters() n USING (name) WHERE n.count > c.count ORDER BY 1';

-- Taken
SELECT vectorshard.report('tel1', pg_temp.at(-122.41, 37.79), 12.5, 270, now() - interval '60 s');
SELECT vectorshard.report('tel1', pg_temp.at(-122.42, 37.79)::geography, observed_at => now() - interval '10 s');
SELECT vectorshard.report('tel1', pg_temp.at(-122.421, 37.79));
SELECT * FROM pg_temp.more();

-- Refused and counted
SELECT vectorshard.report('tel1', pg_temp.at(-122.421, 37.79), observed_at => now() - interval '10 s') AS late;
SELECT vectorshard.report('tel1', pg_temp.at(-122.421, 37.79), observed_at => now() - interval '1 hour') AS late;
SELECT vectorshard.report('tel1', pg_temp.at(-122.421, 37.79), observed_at => now() + interval '1 hour') AS future;
SELECT vectorshard.report('tel1', pg_temp.at(-12, 37.79)) AS too_fast;
SELECT vectorshard.report('tel1', pg_temp.at(-122.421, 37.79), 2000) AS too_fast;
BEGIN;
SELECT vectorshard.report('tel2', pg_temp.at(0, 0)), vectorshard.report('tel2', pg_temp.at(0, 0)) AS duplicate;
ROLLBACK;
SELECT * FROM pg_temp.more();
SELECT reason FROM vectorshard.telemetry_refusals ORDER BY 1;

-- Errors
SELECT vectorshard.report(NULL, pg_temp.at(1, 1));
SELECT vectorshard.report('tel3', NULL::geometry);
SELECT vectorshard.report('tel3', pg_temp.at(1, 1), observed_at => NULL);
SELECT vectorshard.report('', pg_temp.at(1, 1));
SELECT vectorshard.report(repeat('x', 256), pg_temp.at(1, 1));
SELECT vectorshard.report(repeat('x', 255), pg_temp.at(1, 1));
SELECT vectorshard.report('tel3', ST_MakePoint(1, 1));
SELECT vectorshard.report('tel3', 'SRID=4326;POINT EMPTY'::geometry);
SELECT vectorshard.report('tel3', 'SRID=4326;LINESTRING(0 0, 1 1)'::geometry);
SELECT vectorshard.report('tel3', pg_temp.at(1, 91));
SELECT vectorshard.report('tel3', pg_temp.at(-181, 1));
SELECT vectorshard.report('tel3', pg_temp.at('NaN', 1));
SELECT vectorshard.report('tel3', pg_temp.at(1, 1), -1);
SELECT vectorshard.report('tel3', pg_temp.at(1, 1), 'NaN');
SELECT vectorshard.report('tel3', pg_temp.at(1, 1), 1, 361);
SELECT vectorshard.report('tel3', pg_temp.at(1, 1), observed_at => 'infinity');

-- Many at once
SELECT vectorshard.report(ARRAY['tel4', 'tel5', 'tel4'], ARRAY[10, 20, 10.001], ARRAY[50, 50, 50]::float8[],
                          observed_at => ARRAY[now() - interval '20 s', NULL, NULL]) AS accepted;
SELECT vectorshard.report(ARRAY['tel4', 'tel5'], ARRAY[10, 20]::float8[], ARRAY[50, 50]::float8[], ARRAY[1, NULL]::float8[],
                          ARRAY[90, NULL]::float8[], ARRAY[now() - interval '1 hour', NULL]) AS accepted;
SELECT vectorshard.report('{}'::text[], '{}', '{}') AS accepted;
SELECT vectorshard.report(ARRAY['tel4'], ARRAY[10, 20]::float8[], ARRAY[50]::float8[]);
SELECT vectorshard.report(ARRAY['tel4'], ARRAY[10]::float8[], ARRAY[50]::float8[], ARRAY[1, 2]::float8[]);
SELECT vectorshard.report(ARRAY['tel6', NULL], ARRAY[10, 20]::float8[], ARRAY[50, 50]::float8[]);
SELECT vectorshard.report(ARRAY['tel6', 'tel7'], ARRAY[10, 20]::float8[], ARRAY[50, 95]::float8[]);
SELECT vectorshard.report(NULL::text[], ARRAY[10]::float8[], ARRAY[50]::float8[]);

SELECT count(*) FROM vectorshard.predicted_path('tel6');
-- Newest first: they are taken oldest first, so none is late.
BEGIN;
SELECT vectorshard.report(array_agg('tel10'::text ORDER BY i), array_agg(10 - i * 0.0001 ORDER BY i)::float8[], array_agg(50 ORDER BY i)::float8[],
                          observed_at => array_agg(now() - i * interval '1 s' ORDER BY i)) AS accepted FROM generate_series(1, 50) i;
SELECT vectorshard.report('tel10', pg_temp.at(9.9999, 50), observed_at => now() - interval '1 s') AS duplicate;
COMMIT;

-- Points of every form
CREATE TEMP TABLE point (id text, g geometry, h geography);
INSERT INTO point VALUES ('tel11', pg_temp.at(11.25, -48.5), pg_temp.at(11.5, -48.5)), ('tel12', ST_SetSRID(ST_MakePoint(12.25, -48.5, 7), 4326), pg_temp.at(12.5, -48.5)),
  ('tel13', pg_temp.at(13.25, -90), pg_temp.at(13.5, 90)), ('tel14', pg_temp.at(-180, 90), pg_temp.at(180, -90));
SELECT id, vectorshard.report(id || 'g', g), vectorshard.report(id || 'h', h) FROM point ORDER BY id;
SELECT id, (SELECT ST_AsText("position") FROM vectorshard.predicted_path(id || 'g') LIMIT 1) AS g,
       (SELECT ST_AsText("position") FROM vectorshard.predicted_path(id || 'h') LIMIT 1) AS h FROM point ORDER BY id;
SELECT vectorshard.report('tel15', ST_SetSRID(ST_MakePointM(1, 1, 3), 4326));
SELECT vectorshard.report('tel15', ST_SetSRID(ST_MakePoint('infinity', 1), 4326));
SELECT vectorshard.report('tel15', ST_SetSRID(ST_MakePoint(1, 1), 0));

-- Handovers: no position, so the next one may be anywhere.
SELECT vectorshard.report_handover('tel4', 'nowhere');
SELECT vectorshard.report_handover(NULL);
SELECT vectorshard.report_handover('tel4', 'alone', now() - interval '1 hour') AS late;
SELECT vectorshard.report_handover('tel8', observed_at => now() - interval '30 s'),
       vectorshard.report_handover('tel8', 'alone', now() - interval '30 s') AS duplicate;
SELECT count(*) FROM vectorshard.predicted_path('tel8');
SELECT vectorshard.report('tel8', pg_temp.at(150, -30), observed_at => now() - interval '20 s');
SELECT count(*) FROM vectorshard.predicted_path('tel8');

-- An application needs no rights on the fabric's tables to report, and learns nothing of others.
CREATE ROLE regress_telemetry;
SET ROLE regress_telemetry;
SELECT vectorshard.report('tel9', pg_temp.at(1, 1));
SELECT vectorshard.report_handover('tel9', 'alone', now() + interval '1 s');
SELECT * FROM vectorshard.telemetry_counters();
SELECT * FROM vectorshard.motion;
SELECT * FROM vectorshard.predicted_path('tel1');
RESET ROLE;
DROP ROLE regress_telemetry;

-- Motion is checkpointed for clients whose rows are here, and for no others.
CREATE TABLE tel_item (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('tel_item', 'client');
INSERT INTO tel_item VALUES ('tel_here');
SELECT vectorshard.report('tel_away', pg_temp.at(1, 1)), vectorshard.report('tel_here', pg_temp.at(1, 1));
DO $$
BEGIN
  FOR i IN 1 .. 600 LOOP
    EXIT WHEN EXISTS (SELECT FROM vectorshard.motion WHERE client = 'tel_here');
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
SELECT client, length(state) BETWEEN 200 AND 1024 AS fits, observed_at > now() - interval '1 hour' AS recent, _version > 0 AS stamped
  FROM vectorshard.motion WHERE client LIKE 'tel%';
SELECT vectorshard.undistribute_table('tel_item');
DROP TABLE tel_item;
