-- Predict: the areas of nodes, where a client may go, and its path.

-- One row a ring of a node's coverage ("latitude longitude, ..."), one row for a node without. PostGIS may lie in any
-- schema: the body is bound now.
CREATE FUNCTION vectorshard.node_sites()
  RETURNS TABLE (node int, name text, core boolean, lat float8, lon float8, ring text)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT n.node, n.name, n.kind = 'core', ST_Y(n.location), ST_X(n.location), r.points
      FROM vectorshard.node n
      LEFT JOIN LATERAL (
        SELECT (SELECT pg_catalog.string_agg(ST_Y(p.geom) || ' ' || ST_X(p.geom), ',' ORDER BY p.path)
                  FROM ST_DumpPoints(ST_ExteriorRing(ring.geom)) AS p) AS points
          FROM ST_Dump(n.coverage) AS part CROSS JOIN ST_DumpRings(part.geom) AS ring) AS r ON true
     WHERE n.state = 'active';
  END;
COMMENT ON FUNCTION vectorshard.node_sites() IS 'internal: places and coverage of the active nodes, for the map of areas';
REVOKE ALL ON FUNCTION vectorshard.node_sites() FROM PUBLIC;

CREATE FUNCTION vectorshard.lon_lat(lon float8, lat float8) RETURNS geometry
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  BEGIN ATOMIC SELECT ST_SetSRID(ST_MakePoint(lon_lat.lon, lon_lat.lat), 4326); END;
COMMENT ON FUNCTION vectorshard.lon_lat(float8, float8) IS 'internal: what a predictor function gets as position';

CREATE FUNCTION vectorshard.predict(client text, horizon_s float8 DEFAULT NULL)
  RETURNS TABLE (node text, probability float8, eta_s float8, earliest_s float8)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 4 AS 'MODULE_PATHNAME', 'vectorshard_predict';
COMMENT ON FUNCTION vectorshard.predict(text, float8) IS
  'nodes that the client may get to within the horizon, likeliest first, with the times from now when it is as likely there as not, and when it is there at the earliest';

CREATE FUNCTION vectorshard.predicted_positions(client text, horizon_s float8, steps int)
  RETURNS TABLE (at timestamptz, lon float8, lat float8, sigma_m float8)
  LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 7 AS 'MODULE_PATHNAME', 'vectorshard_predicted_positions';
COMMENT ON FUNCTION vectorshard.predicted_positions(text, float8, int) IS 'internal: what predicted_path() makes points of';

CREATE FUNCTION vectorshard.predicted_path(client text, horizon_s float8 DEFAULT 60, steps int DEFAULT 6)
  RETURNS TABLE (at timestamptz, "position" geometry, sigma_m float8)
  LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 7
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT p.at, ST_SetSRID(ST_MakePoint(p.lon, p.lat), 4326), p.sigma_m
      FROM vectorshard.predicted_positions(predicted_path.client, predicted_path.horizon_s, predicted_path.steps) AS p;
  END;
COMMENT ON FUNCTION vectorshard.predicted_path(text, float8, int) IS
  'where the client is from its last report to the horizon, if it keeps its velocity; sigma_m is how sure that is';

-- Where a client is and goes is not for everybody who may connect.
REVOKE ALL ON FUNCTION vectorshard.predict(text, float8), vectorshard.predicted_path(text, float8, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.predict(text, float8), vectorshard.predicted_path(text, float8, int) TO pg_monitor;
