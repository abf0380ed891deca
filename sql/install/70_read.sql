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
