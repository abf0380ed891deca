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
