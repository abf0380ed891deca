-- Reports from MobilityDB's temporal points, and predictions as one (MobilityDB 1.1 or later). Bodies are bound now, so types
-- and functions may lie in any schema.
\echo Use "CREATE EXTENSION vectorshard_mobilitydb" to load this file. \quit

CREATE FUNCTION vectorshard.report(client text, path tgeompoint) RETURNS bigint
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    SELECT count(*) FILTER (WHERE r.taken)
      FROM (SELECT vectorshard.report(report.client, getValue(u.instant), observed_at => getTimestamp(u.instant)) AS taken
              FROM (SELECT unnest(instants(report.path)) AS instant) AS u) AS r;
  END;
COMMENT ON FUNCTION vectorshard.report(text, tgeompoint) IS 'reports each instant of a path; the number of those accepted';

CREATE FUNCTION vectorshard.report(client text, path tgeogpoint) RETURNS bigint
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    SELECT count(*) FILTER (WHERE r.taken)
      FROM (SELECT vectorshard.report(report.client, getValue(u.instant), observed_at => getTimestamp(u.instant)) AS taken
              FROM (SELECT unnest(instants(report.path)) AS instant) AS u) AS r;
  END;
COMMENT ON FUNCTION vectorshard.report(text, tgeogpoint) IS 'reports each instant of a path; the number of those accepted';

CREATE FUNCTION vectorshard.predicted_tgeompoint(client text, horizon_s float8 DEFAULT 60, steps int DEFAULT 6) RETURNS tgeompoint
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    SELECT tgeompointSeq(array_agg(tgeompoint(p."position", p.at) ORDER BY p.at))
      FROM vectorshard.predicted_path(predicted_tgeompoint.client, predicted_tgeompoint.horizon_s, predicted_tgeompoint.steps) AS p;
  END;
COMMENT ON FUNCTION vectorshard.predicted_tgeompoint(text, float8, int) IS 'the rows of predicted_path() as one temporal point; null: no position is known';
REVOKE ALL ON FUNCTION vectorshard.predicted_tgeompoint(text, float8, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.predicted_tgeompoint(text, float8, int) TO pg_monitor;
