-- place, second half: holding. What a node holds, births, copies, evictions.

CREATE OR REPLACE FUNCTION vectorshard.birth_client(client text, OUT home int, OUT epoch bigint, OUT version bigint,
                                                    OUT born boolean)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  SET lock_timeout = '3s'
  AS 'MODULE_PATHNAME', 'vectorshard_birth_client';
COMMENT ON FUNCTION vectorshard.birth_client(text) IS
  'internal: on a core node, makes a client that nobody knows, with this node as home, or finds it';
REVOKE ALL ON FUNCTION vectorshard.birth_client(text) FROM PUBLIC;
