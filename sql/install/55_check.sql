-- Checks: comparing what nodes hold by digest, telling changes under way from differences, mending differences.

CREATE FUNCTION vectorshard.range_digests(client text, table_name text, ranges int,
                                          OUT range int, OUT rows bigint, OUT digest text) RETURNS SETOF record
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'vectorshard_range_digests';
COMMENT ON FUNCTION vectorshard.range_digests(text, text, int) IS
  'internal: digests of the rows of a client (or, client empty, of a reference table) by range of their hashed keys';

CREATE FUNCTION vectorshard.range_rows(client text, table_name text, ranges int, which int[], at_most int,
                                       OUT row_table text, OUT key text, OUT version bigint, OUT deleted boolean,
                                       OUT digest text) RETURNS SETOF record
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_range_rows';
COMMENT ON FUNCTION vectorshard.range_rows(text, text, int, int[], int) IS
  'internal: key, version and digest of the rows of some ranges, at most so many';
