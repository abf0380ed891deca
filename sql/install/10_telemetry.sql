-- Telemetry: reports of clients, with and without a position; what was refused.

CREATE FUNCTION vectorshard.report(client text, "position" geometry, speed_mps float8 DEFAULT NULL,
                                   heading_deg float8 DEFAULT NULL, observed_at timestamptz DEFAULT now()) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_report';
COMMENT ON FUNCTION vectorshard.report(text, geometry, float8, float8, timestamptz) IS
  'tells this node, which serves the client, where it is; false: refused as late, early, doubled or impossible';

CREATE FUNCTION vectorshard.report(client text, "position" geography, speed_mps float8 DEFAULT NULL,
                                   heading_deg float8 DEFAULT NULL, observed_at timestamptz DEFAULT now()) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_report';
COMMENT ON FUNCTION vectorshard.report(text, geography, float8, float8, timestamptz) IS
  'tells this node, which serves the client, where it is; false: refused as late, early, doubled or impossible';

CREATE FUNCTION vectorshard.report(clients text[], lons float8[], lats float8[], speeds_mps float8[] DEFAULT NULL,
                                   headings_deg float8[] DEFAULT NULL, observed_at timestamptz[] DEFAULT NULL) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_report_many';
COMMENT ON FUNCTION vectorshard.report(text[], float8[], float8[], float8[], float8[], timestamptz[]) IS
  'many reports at once, one element each; the number of those accepted';

CREATE FUNCTION vectorshard.report_handover(client text, from_node text DEFAULT NULL,
                                            observed_at timestamptz DEFAULT now()) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_report_handover';
COMMENT ON FUNCTION vectorshard.report_handover(text, text, timestamptz) IS
  'tells this node that it serves the client now, whose position is not known';

CREATE FUNCTION vectorshard.telemetry_counters() RETURNS TABLE (name text, count bigint)
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_telemetry_counters';
COMMENT ON FUNCTION vectorshard.telemetry_counters() IS 'internal: what became of reports on this node since the server started';
REVOKE ALL ON FUNCTION vectorshard.telemetry_counters() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.telemetry_counters() TO pg_monitor;

CREATE VIEW vectorshard.telemetry_refusals AS
  SELECT name AS reason, count FROM vectorshard.telemetry_counters()
   WHERE name NOT IN ('accepted', 'dropped', 'arrivals', 'hits');
COMMENT ON VIEW vectorshard.telemetry_refusals IS 'reports that this node refused since the server started, by reason';
