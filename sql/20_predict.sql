-- Prediction: the path of a client, the nodes it may get to, the areas of nodes; bad input.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.at(lon float8, lat float8) RETURNS geometry LANGUAGE sql AS 'SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326)';

-- A client that drives east on the equator at 20 m/s.
SELECT vectorshard.report('pre1', pg_temp.at(0, 0), 20, 90, now() - interval '30 s');
SELECT vectorshard.report('pre1', pg_temp.at(0.0054, 0), 20, 90, now());
SELECT round(extract(epoch FROM at - first_value(at) OVER w)) AS after_s, round(ST_X("position")::numeric, 3) AS lon,
       round(ST_Y("position")::numeric, 3) AS lat, ST_SRID("position"), sigma_m > lag(sigma_m, 1, 0) OVER w AS less_sure
  FROM vectorshard.predicted_path('pre1') WINDOW w AS (ORDER BY at);
SELECT round(ST_X("position")::numeric, 3) AS lon FROM vectorshard.predicted_path('pre1', 600, 2);
-- One that stands.
SELECT vectorshard.report('pre2', pg_temp.at(10, 10), 0);
SELECT DISTINCT ST_AsText("position") FROM vectorshard.predicted_path('pre2', 3600, 3);
-- There is no other node to get to.
SELECT * FROM vectorshard.predict('pre1');
SELECT * FROM vectorshard.predict('pre1', 3600);

SELECT * FROM vectorshard.predict('nobody');
SELECT * FROM vectorshard.predict(NULL);
SELECT * FROM vectorshard.predict('pre1', 0);
SELECT * FROM vectorshard.predict('pre1', 'NaN');
SELECT * FROM vectorshard.predict('pre1', 1e9);
SELECT * FROM vectorshard.predicted_path('nobody');
SELECT * FROM vectorshard.predicted_path('pre1', -1);
SELECT * FROM vectorshard.predicted_path('pre1', 60, 0);
SELECT * FROM vectorshard.predicted_path('pre1', 60, 100000);
SELECT count(*) FROM vectorshard.predicted_path(NULL);

-- Areas: all rings of a multipolygon with a hole.
SELECT * FROM vectorshard.node_sites();
BEGIN;
UPDATE vectorshard.node SET coverage = ST_GeomFromText('MULTIPOLYGON(((0 0, 4 0, 4 4, 0 0), (1 0.5, 2 0.5, 2 1, 1 0.5)), ((10 10, 11 10, 11 11, 10 10)))', 4326);
SELECT node, ring FROM vectorshard.node_sites();
ROLLBACK;
