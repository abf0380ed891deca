-- Read: the foreign data wrapper behind t_elsewhere, moved partitions and vectorshard.telemetry.

CREATE FUNCTION vectorshard.fdw_handler() RETURNS fdw_handler
LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'vectorshard_fdw_handler';
COMMENT ON FUNCTION vectorshard.fdw_handler() IS 'handler of vectorshard_fdw';
REVOKE ALL ON FUNCTION vectorshard.fdw_handler() FROM PUBLIC;

CREATE FUNCTION vectorshard.fdw_validator(text[], oid) RETURNS void
LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'vectorshard_fdw_validator';
COMMENT ON FUNCTION vectorshard.fdw_validator(text[], oid) IS 'checks the options of servers, user mappings and foreign tables of vectorshard_fdw';
REVOKE ALL ON FUNCTION vectorshard.fdw_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER vectorshard_fdw
  HANDLER vectorshard.fdw_handler VALIDATOR vectorshard.fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER vectorshard_fdw IS 'rows that live on other nodes or in a store, and telemetry';

-- Bulk telemetry: COPY and INSERT give reports. Its server leads nowhere; it is part of the extension, so the table is
-- there before the node joins a fabric.
CREATE SERVER vectorshard_here FOREIGN DATA WRAPPER vectorshard_fdw;
COMMENT ON SERVER vectorshard_here IS 'vectorshard: this node itself';

CREATE FOREIGN TABLE vectorshard.telemetry (
  client      text NOT NULL,
  lon         float8 NOT NULL,
  lat         float8 NOT NULL,
  speed_mps   float8,
  heading_deg float8,
  observed_at timestamptz NOT NULL DEFAULT now()
) SERVER vectorshard_here OPTIONS (role 'telemetry');
COMMENT ON FOREIGN TABLE vectorshard.telemetry IS
  'reports of clients that this node serves, write only: each row does what vectorshard.report() does';
COMMENT ON COLUMN vectorshard.telemetry.lon IS 'degrees, WGS84';
COMMENT ON COLUMN vectorshard.telemetry.lat IS 'degrees, WGS84';
COMMENT ON COLUMN vectorshard.telemetry.speed_mps IS 'metres per second; null: derived from the reports';
COMMENT ON COLUMN vectorshard.telemetry.heading_deg IS 'degrees clockwise from north; null: derived from the reports';

CREATE FUNCTION vectorshard.holds(clients text[]) RETURNS boolean
LANGUAGE C STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_holds';
COMMENT ON FUNCTION vectorshard.holds(text[]) IS
  'internal: whether all these clients are resident here, under the snapshot of the query, so that their rows can be read from the heap';
REVOKE ALL ON FUNCTION vectorshard.holds(text[]) FROM PUBLIC;

CREATE FUNCTION vectorshard.home_marks(cursor text, since bigint) RETURNS SETOF text
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_home_marks';
COMMENT ON FUNCTION vectorshard.home_marks(text, bigint) IS
  'internal: the homes that moved from or to this node a short time before and since, as the snapshot of an open cursor has it';
REVOKE ALL ON FUNCTION vectorshard.home_marks(text, bigint) FROM PUBLIC;

-- Which node an application should talk to.

CREATE FUNCTION vectorshard.answers(node int) RETURNS boolean
LANGUAGE C STRICT VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_answers';
COMMENT ON FUNCTION vectorshard.answers(int) IS 'internal: false if this node found lately that the other one does not answer';
REVOKE ALL ON FUNCTION vectorshard.answers(int) FROM PUBLIC;

CREATE FUNCTION vectorshard.node_at(lon float8, lat float8) RETURNS int
LANGUAGE C STRICT STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'vectorshard_node_at';
COMMENT ON FUNCTION vectorshard.node_at(float8, float8) IS 'internal: the node in whose area the position lies';
REVOKE ALL ON FUNCTION vectorshard.node_at(float8, float8) FROM PUBLIC;

CREATE FUNCTION vectorshard.route(client text)
  RETURNS TABLE (node text, host text, port int, dbname text, holds boolean, reason text)
  LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED ROWS 3
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT n.name, n.host, n.port, n.dbname, k.holds,
           CASE WHEN k.serves THEN 'serves the client' WHEN k.holds THEN 'holds a copy' ELSE 'is its home' END
             || CASE WHEN k.node = c.home AND (k.serves OR k.holds) THEN ', is its home' ELSE '' END
             || CASE WHEN a.answers THEN '' ELSE ', does not answer' END
      FROM (SELECT u.node, bool_or(u.holds) AS holds, bool_or(u.serves) AS serves
              FROM (SELECT h.node, true AS holds, false AS serves FROM vectorshard.holder h
                     WHERE h.client = route.client AND h.state = 'live'
                    UNION ALL
                    SELECT w.node, false, true FROM vectorshard.wish w
                     WHERE w.client = route.client AND w.planner = w.node AND w.reason = 'serves the client' AND w.until > pg_catalog.now()
                    UNION ALL
                    SELECT c.home, false, false FROM vectorshard.client c WHERE c.client = route.client) u
             GROUP BY u.node) k
      JOIN vectorshard.node n ON n.node = k.node AND n.state = 'active'
      CROSS JOIN LATERAL (SELECT vectorshard.answers(k.node) AS answers) a
      LEFT JOIN vectorshard.client c ON c.client = route.client
     ORDER BY a.answers DESC, k.serves DESC, k.holds DESC, k.node = c.home DESC, n.name;
  END;
COMMENT ON FUNCTION vectorshard.route(text) IS
  'nodes to talk to about a client, the best one first: the one that serves it, those that hold its rows, its home; nodes that do not answer come last';

CREATE FUNCTION vectorshard.route("position" geometry)
  RETURNS TABLE (node text, host text, port int, dbname text, distance_m float8, reason text)
  LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED ROWS 4
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT n.name, n.host, n.port, n.dbname, d.distance_m,
           CASE WHEN n.node = s.node THEN 'serves the place' ELSE 'is near' END || CASE WHEN a.answers THEN '' ELSE ', does not answer' END
      FROM (SELECT ST_PointOnSurface(ST_Transform(route."position", 4326)) AS point) p
      CROSS JOIN LATERAL (SELECT vectorshard.node_at(ST_X(p.point), ST_Y(p.point)) AS node) s
      CROSS JOIN vectorshard.node n
      CROSS JOIN LATERAL (SELECT ST_DistanceSphere(n.location, p.point) AS distance_m) d
      CROSS JOIN LATERAL (SELECT vectorshard.answers(n.node) AS answers) a
     WHERE n.state = 'active'
     ORDER BY a.answers DESC, n.node = s.node DESC, d.distance_m, n.name
     LIMIT 4;
  END;
COMMENT ON FUNCTION vectorshard.route(geometry) IS
  'nodes to talk to at a place, the best one first: the one in whose area it lies, then the nearest; nodes that do not answer come last';

-- Where a client is, is not for everybody who may connect: applications are granted it.
REVOKE ALL ON FUNCTION vectorshard.route(text), vectorshard.route(geometry) FROM PUBLIC;

-- On the heaps of tables of consistency home the planner puts this condition by itself. Leakproof: it tells nothing of a row but what the
-- table `client` tells everybody.
CREATE FUNCTION vectorshard.is_home_of_support(internal) RETURNS internal
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_is_home_of_support';
COMMENT ON FUNCTION vectorshard.is_home_of_support(internal) IS 'internal: what is_home_of() costs and keeps, for the planner';
REVOKE ALL ON FUNCTION vectorshard.is_home_of_support(internal) FROM PUBLIC;

CREATE FUNCTION vectorshard.is_home_of(client "any", locks boolean) RETURNS boolean
LANGUAGE C STRICT STABLE LEAKPROOF PARALLEL SAFE SUPPORT vectorshard.is_home_of_support AS 'MODULE_PATHNAME', 'vectorshard_is_home_of';
COMMENT ON FUNCTION vectorshard.is_home_of("any", boolean) IS 'whether this node is the home of a client under the snapshot of the query';

-- Halves of PostgreSQL's aggregates, for queries over all clients: the transitions of one, ending in the state that another node
-- goes on with. A serialized state is for servers of one major version, hence the name. Found by it: read/partial.cpp.
DO $states$
DECLARE
  f text[];
BEGIN
  -- transition function, its arguments, state, beginning, serialization
  FOREACH f SLICE 1 IN ARRAY ARRAY[
    ['int2_avg_accum', 'int2', 'int8[]', '{0,0}', NULL],
    ['int4_avg_accum', 'int4', 'int8[]', '{0,0}', NULL],
    ['int8_avg_accum', 'int8', 'internal', NULL, 'int8_avg_serialize'],
    ['numeric_avg_accum', 'numeric', 'internal', NULL, 'numeric_avg_serialize'],
    ['int2_accum', 'int2', 'internal', NULL, 'numeric_poly_serialize'],
    ['int4_accum', 'int4', 'internal', NULL, 'numeric_poly_serialize'],
    ['int8_accum', 'int8', 'internal', NULL, 'numeric_serialize'],
    ['numeric_accum', 'numeric', 'internal', NULL, 'numeric_serialize'],
    ['float4_accum', 'float4', 'float8[]', '{0,0,0}', NULL],
    ['float8_accum', 'float8', 'float8[]', '{0,0,0}', NULL],
    ['float8_regr_accum', 'float8, float8', 'float8[]', '{0,0,0,0,0,0}', NULL],
    ['interval_accum', 'interval', 'interval[]', '{0 second,0 second}', NULL]] LOOP
    EXECUTE format('CREATE AGGREGATE vectorshard.state15_%1$s(%2$s) (SFUNC = pg_catalog.%1$s, STYPE = %3$s, PARALLEL = SAFE%4$s%5$s)', f[1], f[2], f[3],
                   ', INITCOND = ' || quote_literal(f[4]), ', FINALFUNC = pg_catalog.' || f[5]);
    EXECUTE format('COMMENT ON AGGREGATE vectorshard.state15_%1$s(%2$s) IS ''internal: the state that pg_catalog.%1$s makes''', f[1], f[2]);
  END LOOP;
END $states$;
