-- Joining a fabric: the call on the new node, and the registrar's part.

CREATE OR REPLACE FUNCTION vectorshard.wall_clock_ms() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_wall_clock_ms';
COMMENT ON FUNCTION vectorshard.wall_clock_ms() IS 'internal: what this node''s clock says, for comparing clocks';
REVOKE ALL ON FUNCTION vectorshard.wall_clock_ms() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.join_through(server text, node_name text, kind text, host text, port text, dbname text,
                                                    location text, coverage text) RETURNS int
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_join_through';
COMMENT ON FUNCTION vectorshard.join_through(text, text, text, text, text, text, text, text) IS
  'internal: registers this node over a server and brings in the fabric';
REVOKE ALL ON FUNCTION vectorshard.join_through(text, text, text, text, text, text, text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.join_fabric(node_name text, server text, location geometry, address text DEFAULT NULL,
                                                   coverage geometry DEFAULT NULL, kind text DEFAULT 'edge') RETURNS int
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  place record;
BEGIN
  IF server IS NULL THEN
    RAISE EXCEPTION 'server must not be null' USING
      ERRCODE = 'null_value_not_allowed', HINT = 'Name the server object that leads to a member of the fabric.';
  END IF;
  IF kind IS NULL OR kind NOT IN ('core', 'edge') THEN
    RAISE EXCEPTION 'a node is of kind core or edge' USING
      ERRCODE = 'invalid_parameter_value', DETAIL = format('Given: %L.', kind), HINT = 'Core nodes may be homes of clients; edge nodes are not.';
  END IF;
  location := vectorshard.in_degrees(location);
  coverage := vectorshard.in_degrees(coverage);
  PERFORM vectorshard.check_new_member(node_name, vectorshard.bad_location(location), vectorshard.bad_coverage(coverage));
  place := vectorshard.parse_address(address);
  RETURN vectorshard.join_through(server, node_name, kind, place.host, place.port::text, place.dbname, location::text, coverage::text);
END $$;
COMMENT ON FUNCTION vectorshard.join_fabric(text, text, geometry, text, geometry, text) IS
  'makes this database a node of the fabric that the server object leads to';
REVOKE ALL ON FUNCTION vectorshard.join_fabric(text, text, geometry, text, geometry, text) FROM PUBLIC;

-- One mapping suffices: what let this node in at `server` becomes the mapping of server fabric, if that has none.
CREATE OR REPLACE FUNCTION vectorshard.copy_user_mapping(p_server text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  options text;
BEGIN
  IF EXISTS (SELECT FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
              WHERE m.srvname = 'fabric' AND m.umuser IN (0, s.srvowner)) THEN RETURN; END IF;
  SELECT coalesce((SELECT string_agg(format('%I %L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(m.umoptions) o), '')
    INTO options FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
   WHERE m.srvname = p_server AND m.umuser IN (0, s.srvowner) ORDER BY m.umuser DESC LIMIT 1;
  IF coalesce(options, '') <> '' AND EXISTS (SELECT FROM pg_foreign_server WHERE srvname = 'fabric') THEN
    EXECUTE format('CREATE USER MAPPING FOR %I SERVER fabric OPTIONS (%s)',
      (SELECT pg_get_userbyid(srvowner) FROM pg_foreign_server WHERE srvname = 'fabric'), options);
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.copy_user_mapping(text) IS 'internal: the mapping that let this node in becomes that of server fabric';
REVOKE ALL ON FUNCTION vectorshard.copy_user_mapping(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.register_node(name text, kind text, uuid uuid, host text, port int, dbname text,
                                                     location text, coverage text, clock_ms bigint) RETURNS text
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_register_node';
COMMENT ON FUNCTION vectorshard.register_node(text, text, uuid, text, int, text, text, text, bigint) IS
  'internal: registers a new node at the registrar, through any node; gives its row of vectorshard.node';
REVOKE ALL ON FUNCTION vectorshard.register_node(text, text, uuid, text, int, text, text, text, bigint) FROM PUBLIC;

-- At the registrar. The number is bound to the uuid: asking again after a crash gives the same number.
CREATE OR REPLACE FUNCTION vectorshard.register_here(p_name text, p_kind text, p_uuid uuid, p_host text, p_port int, p_dbname text,
                                                     p_location text, p_coverage text, p_clock_ms bigint) RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  n vectorshard.node;
  other text;
BEGIN
  LOCK TABLE vectorshard.node IN SHARE ROW EXCLUSIVE MODE;
  SELECT * INTO n FROM vectorshard.node WHERE uuid = p_uuid;
  IF n.state = 'removed' THEN
    RAISE EXCEPTION 'this node was removed from the fabric' USING
      ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('It was node %s (%s); numbers are never used again.', n.node, n.name),
      HINT = 'Join with a new database.';
  END IF;
  SELECT name INTO other FROM vectorshard.node WHERE name = p_name AND state <> 'removed' AND uuid <> p_uuid;
  IF other IS NOT NULL THEN
    RAISE EXCEPTION 'a node named % is in the fabric already', quote_literal(p_name) USING
      ERRCODE = 'duplicate_object', DETAIL = 'Names of nodes are unique.', HINT = 'Choose another name, or take the old node out with vectorshard.remove_node() first.';
  END IF;
  SELECT name INTO other FROM vectorshard.node
    WHERE host = p_host AND port = p_port AND dbname = p_dbname AND state <> 'removed' AND uuid <> p_uuid;
  IF other IS NOT NULL THEN
    RAISE EXCEPTION 'another node has the address host=% port=% dbname=%', p_host, p_port, p_dbname USING
      ERRCODE = 'duplicate_object', DETAIL = format('Node %L has it.', other),
      HINT = 'Give the address under which other nodes reach this one, or remove_node() the old one first.';
  END IF;
  IF n.node IS NULL THEN
    n.node := (SELECT max(node) + 1 FROM vectorshard.node);
    IF n.node > 1023 THEN
      RAISE EXCEPTION 'the fabric has given all 1023 node numbers' USING
        ERRCODE = 'program_limit_exceeded', DETAIL = 'Numbers of removed nodes are never used again.', HINT = 'Start a new fabric.';
    END IF;
    n._version := vectorshard.next_version();
    INSERT INTO vectorshard.node (node, name, kind, uuid, incarnation, state, host, port, dbname, location, coverage, _version)
      VALUES (n.node, p_name, p_kind, p_uuid, n._version, 'active', p_host, p_port, p_dbname, p_location, p_coverage, n._version);
  ELSE
    UPDATE vectorshard.node SET name = p_name, kind = p_kind, host = p_host, port = p_port, dbname = p_dbname,
        location = p_location, coverage = p_coverage WHERE node = n.node;
  END IF;
  SELECT * INTO n FROM vectorshard.node WHERE node = n.node;
  RETURN n::text;
END $$;
COMMENT ON FUNCTION vectorshard.register_here(text, text, uuid, text, int, text, text, text, bigint) IS 'internal: the registrar gives a node its number';
REVOKE ALL ON FUNCTION vectorshard.register_here(text, text, uuid, text, int, text, text, text, bigint) FROM PUBLIC;
