-- Reports as text: GeoJSON, Moving Features JSON, EWKT; other SRIDs; what is malformed, raised or refused and counted.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.ago(s float8) RETURNS text LANGUAGE sql AS $$SELECT to_char(now() AT TIME ZONE 'UTC' - s * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US')$$;
CREATE FUNCTION pg_temp.last(client text) RETURNS text LANGUAGE sql AS
  $$SELECT format('%s %s', round(ST_X("position")::numeric, 4), round(ST_Y("position")::numeric, 4)) FROM vectorshard.predicted_path(client, 1, 1) LIMIT 1$$;
CREATE TEMP TABLE counted AS SELECT * FROM vectorshard.telemetry_counters();
CREATE FUNCTION pg_temp.more() RETURNS TABLE (name text, more bigint) LANGUAGE sql AS
  'SELECT c.name, n.count - c.count FROM counted c JOIN vectorshard.telemetry_counters() n USING (name) WHERE n.count > c.count ORDER BY 1';

-- GeoJSON
SELECT vectorshard.report_json('{"type": "Point", "coordinates": [8.5, 47.25, 400]}', 'fmt1'), pg_temp.last('fmt1');
SELECT vectorshard.report_json(format('{"type": "Feature", "id": "fmt2", "geometry": {"type": "Point", "coordinates": [8.5, 47.5]}, "properties": {"speed": 20, "heading": 90, "time": "%sZ"}}', pg_temp.ago(10))::jsonb),
       pg_temp.last('fmt2');
SELECT round(ST_X("position")::numeric, 3) AS lon FROM vectorshard.predicted_path('fmt2', 100, 1) OFFSET 1;
SELECT vectorshard.report_json(format('{"type": "FeatureCollection", "features": [
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [9.001, 47]}, "properties": {"client": "fmt3", "time": "%s"}},
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [9, 47]}, "properties": {"client": "fmt3", "time": "%s"}},
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [10, 47]}, "properties": {"client": "fmt4"}}]}', pg_temp.ago(5), pg_temp.ago(15))::jsonb), pg_temp.last('fmt3'), pg_temp.last('fmt4');
SELECT vectorshard.report_json('{"type": "FeatureCollection", "features": []}');
-- MF-JSON, as MobilityDB writes it, and in OGC's trajectory
SELECT vectorshard.report_json(format('{"type": "MovingPoint", "crs": {"type": "Name", "properties": {"name": "EPSG:4326"}}, "coordinates": [[7, 47], [7.002, 47], [7.001, 47]],
  "datetimes": ["%s+00", "%s+00", "%s+00"], "interpolation": "Linear"}', pg_temp.ago(30), pg_temp.ago(10), pg_temp.ago(20))::jsonb, 'fmt5'), pg_temp.last('fmt5');
SELECT vectorshard.report_json(format('{"type": "MovingGeomPoint", "sequences": [{"coordinates": [[7, 46]], "datetimes": ["%s"]}, {"coordinates": [[7.001, 46]], "datetimes": ["%s"]}]}',
  pg_temp.ago(30), pg_temp.ago(20))::jsonb, 'fmt6'), pg_temp.last('fmt6');
SELECT vectorshard.report_json(format('{"type": "Feature", "id": "fmt7", "temporalGeometry": {"type": "MovingPoint", "coordinates": [[7, 45], [7.001, 45]], "datetimes": [%s, %s]}, "properties": null}',
  (extract(epoch FROM now()) * 1000 - 20000)::bigint, (extract(epoch FROM now()) * 1000 - 10000)::bigint)::jsonb), pg_temp.last('fmt7');
SELECT vectorshard.report_json(format('{"type": "MovingPoint", "coordinates": [7, 44], "datetimes": "%s"}', pg_temp.ago(1))::jsonb, 'fmt8'), pg_temp.last('fmt8');
-- EWKT
SELECT vectorshard.report_ewkt('fmt9', 'SRID=4326;POINT(8.5 47.5)', 3), pg_temp.last('fmt9');

-- Errors
SELECT vectorshard.report_json(NULL);
SELECT vectorshard.report_json('[]', 'fmtx');
SELECT vectorshard.report_json('{"type": "LineString", "coordinates": [[1, 2], [3, 4]]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Point", "coordinates": [1, 2]}');
SELECT vectorshard.report_json('{"type": "Point", "coordinates": ["1", 2]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Point", "coordinates": [1]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Point", "coordinates": [1, 92]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Feature", "geometry": null, "properties": {}}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"speed": "fast"}}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"time": "noon"}}', 'fmtx');
SELECT vectorshard.report_json('{"type": "MovingPoint", "coordinates": [[1, 2]], "datetimes": []}', 'fmtx');
SELECT vectorshard.report_json('{"type": "MovingPoint", "coordinates": [[1, 2]]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "MovingPoint", "coordinates": [[1, 2]], "datetimes": [null]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"time": true}}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": [1]}', 'fmtx');
SELECT vectorshard.report_json('{"type": "Feature", "id": {"a": 1}, "geometry": {"type": "Point", "coordinates": [1, 2]}}');
SELECT vectorshard.report_json('{"type": "MovingPoint", "crs": {"properties": {"name": "EPSG:3857"}}, "coordinates": [[1, 2]], "datetimes": ["2020-01-01"]}', 'fmtx');
SELECT vectorshard.report_ewkt('fmtx', 'POINT(8.5');
SELECT vectorshard.report_ewkt('fmtx', NULL);
SELECT vectorshard.report_ewkt('fmtx', 'POINT(8.5 47.5)');

-- Other SRIDs: Web Mercator, the Swiss grid as geometry; one that there is not; a point outside of it; a local plane.
SELECT vectorshard.report('fmt10', ST_SetSRID(ST_MakePoint(-13627361.03, 4547675.35), 3857)), pg_temp.last('fmt10');
SELECT vectorshard.report('fmt11', ST_SetSRID(ST_MakePoint(2600000, 1200000), 2056)), pg_temp.last('fmt11');
SELECT vectorshard.report_ewkt('fmt12', 'SRID=2056;POINT(2600000 1200000)'), pg_temp.last('fmt12');
SELECT vectorshard.report('fmtx', ST_SetSRID(ST_MakePoint(1, 1), 990000));
SELECT vectorshard.report('fmtx', ST_SetSRID(ST_MakePoint('infinity', 1), 2056));
SELECT ST_AsText(vectorshard.in_degrees(ST_SetSRID(ST_MakePoint(2600000, 1200000), 2056)), 4), ST_SRID(vectorshard.in_degrees(ST_MakePoint(1, 1)));
SELECT vectorshard.in_degrees(NULL) IS NULL;
SET vectorshard.plane_origin = '8.5';
SET vectorshard.plane_origin = '8.5  47.25';
SET vectorshard.plane_origin = '8.5 90';
SET vectorshard.plane_origin = '8.5 47.25';
SELECT vectorshard.report('fmt13', ST_MakePoint(1000, -2000)), pg_temp.last('fmt13'), ST_AsText(vectorshard.in_degrees(ST_MakePoint(1000, -2000)), 4);
SELECT vectorshard.report('fmt13', ST_MakePoint(1e9, 0));
RESET vectorshard.plane_origin;

SELECT * FROM pg_temp.more();
-- Malformed reports refused: each costs itself alone.
TRUNCATE counted;
INSERT INTO counted SELECT * FROM vectorshard.telemetry_counters();
SET vectorshard.malformed_reports = refuse;
SELECT vectorshard.report(NULL, ST_SetSRID(ST_MakePoint(1, 1), 4326)) AS a, vectorshard.report('fmtx', NULL::geometry) AS b, vectorshard.report('fmtx', ST_MakePoint(1, 1)) AS c,
       vectorshard.report('fmtx', ST_SetSRID(ST_MakePoint(1, 91), 4326)) AS d, vectorshard.report('fmtx', ST_SetSRID(ST_MakePoint(1, 1), 990000)) AS e,
       vectorshard.report_handover(NULL) AS f, vectorshard.report_handover('') AS g, vectorshard.report_ewkt('fmtx', 'nonsense') AS h, vectorshard.report_json('[]') AS i, vectorshard.report_json(NULL) AS j;
SELECT more FROM pg_temp.more();
SELECT vectorshard.report(ARRAY['fmt14', NULL, 'fmt15', 'fmt16', ''], ARRAY[1, 1, NULL, 1, 1]::float8[], ARRAY[1, 1, 1, 95, 1]::float8[]);
SELECT vectorshard.report_json('{"type": "FeatureCollection", "features": [{"type": "Feature", "id": "fmt17", "geometry": {"type": "Point", "coordinates": [1, 2]}},
  {"type": "Feature", "id": "fmt18", "geometry": {"type": "Point", "coordinates": [1, 200]}}]}');
-- A feature that is none costs itself alone, too.
SELECT vectorshard.report_json('{"type": "FeatureCollection", "features": [3, {"type": "Feature", "id": "fmt27", "geometry": {"type": "Point", "coordinates": [1, 2]}}, null,
  {"type": "Feature", "id": "fmt28", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"time": "noon"}}]}');
COPY vectorshard.telemetry (client, lon, lat) FROM STDIN;
fmt19	1	1
\N	1	1
fmt20	NaN	1
fmt21	\N	1
fmt22	1	1
\.
INSERT INTO vectorshard.telemetry (client, lon, lat, observed_at) VALUES ('fmt23', 1, 1, 'infinity'), ('fmt24', 1, 1, NULL), ('fmt25', 1, 1, now());
SELECT * FROM pg_temp.more();
-- What no report can be told from is an error still.
SELECT vectorshard.report(ARRAY['fmt14'], ARRAY[10, 20]::float8[], ARRAY[50]::float8[]);
RESET vectorshard.malformed_reports;
COPY vectorshard.telemetry (client, lon, lat) FROM STDIN;
fmt26	NaN	1
\.
