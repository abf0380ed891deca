-- Identity, founding a fabric, removing a node, the view nodes. join_fabric and register_node: src/pg/fabric/join.cpp.
-- Enrolling tables: 07_enrol.sql.

CREATE OR REPLACE FUNCTION vectorshard.self_node() RETURNS int
  LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_self_node';
COMMENT ON FUNCTION vectorshard.self_node() IS 'number of this node, 0 if this database is not a member of a fabric';

CREATE OR REPLACE FUNCTION vectorshard.boot_uuid() RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_boot_uuid';
COMMENT ON FUNCTION vectorshard.boot_uuid() IS 'internal: the uuid a node number is bound to; made and written to disk if there is none';
REVOKE ALL ON FUNCTION vectorshard.boot_uuid() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.adopt_identity(node int, incarnation bigint) RETURNS void
  LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_adopt_identity';
COMMENT ON FUNCTION vectorshard.adopt_identity(int, bigint) IS 'internal: at commit, writes the boot record and starts the workers';
REVOKE ALL ON FUNCTION vectorshard.adopt_identity(int, bigint) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.bump_catalog_epoch() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_bump_catalog_epoch';
COMMENT ON FUNCTION vectorshard.bump_catalog_epoch() IS 'internal: at commit, makes caches of nodes and tables stale and wakes the workers';
REVOKE ALL ON FUNCTION vectorshard.bump_catalog_epoch() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.start_token() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_start_token';
COMMENT ON FUNCTION vectorshard.start_token() IS 'internal: the number this server drew when it started';
REVOKE ALL ON FUNCTION vectorshard.start_token() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.require_certain() RETURNS void
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_require_certain';
COMMENT ON FUNCTION vectorshard.require_certain() IS 'internal: raises while it is not certain which node this server is';
REVOKE ALL ON FUNCTION vectorshard.require_certain() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.answers_as(node int, token bigint) RETURNS boolean
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_answers_as';
COMMENT ON FUNCTION vectorshard.answers_as(int, bigint) IS 'internal: whether the server at the address of a node has this start token';
REVOKE ALL ON FUNCTION vectorshard.answers_as(int, bigint) FROM PUBLIC;

-- A version by the wall clock alone: for the rows that are written before this node has an identity and a clock.
CREATE OR REPLACE FUNCTION vectorshard.first_version(node int) RETURNS bigint
  LANGUAGE sql VOLATILE PARALLEL SAFE
  BEGIN ATOMIC
  SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1577836800000) << 22 | node;
  END;
COMMENT ON FUNCTION vectorshard.first_version(int) IS 'internal: a version before the clock of a new node runs';
REVOKE ALL ON FUNCTION vectorshard.first_version(int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.next_id() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_next_version';
COMMENT ON FUNCTION vectorshard.next_id() IS 'a number that no other call on any node gives: for keys, instead of sequences';

-- Why a place is not one on Earth, or null. PostGIS may lie in any schema: these bodies are bound now.
CREATE OR REPLACE FUNCTION vectorshard.bad_location(location geometry) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
  SELECT CASE
    WHEN location IS NULL THEN 'It is null.'
    WHEN GeometryType(location) = 'POINT' AND ST_IsEmpty(location) THEN 'It is an empty point.'
    WHEN GeometryType(location) <> 'POINT' THEN pg_catalog.format('It is a %s, not a point.', GeometryType(location))
    WHEN ST_SRID(location) <> 4326 THEN pg_catalog.format('Its SRID is %s, not 4326.', ST_SRID(location))
    WHEN NOT (ST_X(location) BETWEEN -180 AND 180 AND ST_Y(location) BETWEEN -90 AND 90)
      THEN pg_catalog.format('Longitude %s, latitude %s are not on Earth.', ST_X(location), ST_Y(location))
  END;
  END;
COMMENT ON FUNCTION vectorshard.bad_location(geometry) IS 'internal: why a place is not one on Earth, or null';
REVOKE ALL ON FUNCTION vectorshard.bad_location(geometry) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.bad_coverage(coverage geometry) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
  SELECT CASE
    WHEN coverage IS NULL THEN NULL
    WHEN ST_IsEmpty(coverage) THEN pg_catalog.format('It is an empty %s.', GeometryType(coverage))
    WHEN GeometryType(coverage) NOT IN ('POLYGON', 'MULTIPOLYGON')
      THEN pg_catalog.format('It is a %s, not an area.', GeometryType(coverage))
    WHEN ST_SRID(coverage) <> 4326 THEN pg_catalog.format('Its SRID is %s, not 4326.', ST_SRID(coverage))
    WHEN NOT ST_IsValid(coverage) THEN 'It is not a valid geometry.'
    WHEN ST_XMin(coverage) < -180 OR ST_XMax(coverage) > 180 OR ST_YMin(coverage) < -90 OR ST_YMax(coverage) > 90
      THEN 'It reaches beyond longitude 180 or latitude 90.'
  END;
  END;
COMMENT ON FUNCTION vectorshard.bad_coverage(geometry) IS 'internal: why an area is not one on Earth, or null';
REVOKE ALL ON FUNCTION vectorshard.bad_coverage(geometry) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.in_degrees(place geometry) RETURNS geometry
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT CASE
             WHEN ST_SRID(in_degrees.place) = 4326 THEN in_degrees.place
             WHEN ST_SRID(in_degrees.place) <> 0 THEN ST_Transform(in_degrees.place, 4326)
             WHEN plane.lon IS NULL THEN in_degrees.place
             ELSE ST_SetSRID(ST_Affine(in_degrees.place, 1 / (111320 * pg_catalog.cos(pg_catalog.radians(plane.lat))), 0, 0, 1 / 111320.0, plane.lon, plane.lat), 4326)
           END
      FROM (SELECT pg_catalog.split_part(s.origin, ' ', 1)::float8 AS lon, pg_catalog.split_part(s.origin, ' ', 2)::float8 AS lat
              FROM (SELECT nullif(pg_catalog.current_setting('vectorshard.plane_origin', true), 'none') AS origin) AS s) AS plane;
  END;
COMMENT ON FUNCTION vectorshard.in_degrees(geometry) IS
  'a place of any SRID as longitude and latitude; of SRID 0: metres from vectorshard.plane_origin, if that is set';

CREATE OR REPLACE FUNCTION vectorshard.check_new_member(node_name text, location_problem text, coverage_problem text)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  PERFORM vectorshard.boot_uuid();  -- raises if the library is not preloaded or another database is the member
  IF vectorshard.self_node() <> 0 AND EXISTS (SELECT FROM vectorshard.node n WHERE n.uuid = vectorshard.boot_uuid()) THEN
    RAISE EXCEPTION 'this database is already a member of a fabric' USING
      ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('It is node %s.', vectorshard.self_node()),
      HINT = 'Look at the view vectorshard.nodes.';
  END IF;
  IF EXISTS (SELECT FROM vectorshard.node) THEN
    RAISE EXCEPTION 'this database holds the tables of a fabric that it is not a member of' USING
      ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = 'It was restored from a dump, or its boot record is lost.',
      HINT = 'DROP EXTENSION vectorshard CASCADE, CREATE EXTENSION vectorshard, then join_fabric().';
  END IF;
  IF current_setting('wal_level') <> 'logical' THEN
    RAISE EXCEPTION 'wal_level is not logical' USING
      ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('It is %s; changes are shipped by logical decoding.', current_setting('wal_level')),
      HINT = 'ALTER SYSTEM SET wal_level = logical, then restart the server.';
  END IF;
  IF coalesce(node_name, '') = '' OR length(node_name) > 63 THEN
    RAISE EXCEPTION 'a node needs a name of 1 to 63 characters' USING
      ERRCODE = 'invalid_parameter_value', DETAIL = format('Given: %L.', node_name), HINT = 'Give a short name that is unique in the fabric.';
  END IF;
  IF location_problem IS NOT NULL THEN
    RAISE EXCEPTION 'the location of a node must be a point in longitude and latitude' USING
      ERRCODE = 'invalid_parameter_value', DETAIL = location_problem,
      HINT = 'Give ST_SetSRID(ST_MakePoint(longitude, latitude), 4326).';
  END IF;
  IF coverage_problem IS NOT NULL THEN
    RAISE EXCEPTION 'the coverage of a node must be an area in longitude and latitude' USING
      ERRCODE = 'invalid_parameter_value', DETAIL = coverage_problem,
      HINT = 'Give a polygon or multipolygon with SRID 4326, or leave it out: the area nearest to the node.';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.check_new_member(text, text, text) IS 'internal: refuses to make this database a node when something is missing';
REVOKE ALL ON FUNCTION vectorshard.check_new_member(text, text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.parse_address(address text, OUT host text, OUT port int, OUT dbname text)
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  item text;
  part text[];
BEGIN
  host := split_part(replace(current_setting('listen_addresses'), ' ', ''), ',', 1);
  IF host IN ('', '*', '0.0.0.0', '::', 'localhost') THEN host := '127.0.0.1'; END IF;
  port := current_setting('port')::int;
  dbname := current_database();
  FOREACH item IN ARRAY regexp_split_to_array(btrim(coalesce(address, '')), '\s+') LOOP
    CONTINUE WHEN item = '';
    part := regexp_match(item, '^(host|port|dbname)=(.+)$');
    IF part IS NULL OR (part[1] = 'port' AND part[2] !~ '^[0-9]{1,5}$') THEN
      RAISE EXCEPTION 'bad address of a node' USING
        ERRCODE = 'invalid_parameter_value',
        DETAIL = format('Only host, port and dbname may stand in it; not understood: %L.', split_part(item, '=', 1)),
        HINT = 'Write it as ''host=node1.example port=5432 dbname=app''. User and password belong into a user mapping.';
    END IF;
    CASE part[1] WHEN 'host' THEN host := part[2]; WHEN 'port' THEN port := part[2]::int; ELSE dbname := part[2]; END CASE;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.parse_address(text) IS 'internal: host, port and dbname under which other nodes reach this one';
REVOKE ALL ON FUNCTION vectorshard.parse_address(text) FROM PUBLIC;

-- What every member has: publication, reaction to new nodes, server fabric. Called after the first rows are in.
CREATE OR REPLACE FUNCTION vectorshard.set_up_member() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  slot name;
BEGIN
  -- Left over from an extension that was dropped: its changes are those of another node.
  IF EXISTS (SELECT FROM pg_publication WHERE pubname = 'vectorshard') THEN DROP PUBLICATION vectorshard; END IF;
  -- The shipper takes the slot with it when its extension is dropped; it may be about to.
  FOR i IN 1 .. 200 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active
                             AND s.slot_name = 'vectorshard_' || (SELECT oid FROM pg_database WHERE datname = current_database()));
    PERFORM pg_sleep(0.05);
  END LOOP;
  FOR slot IN SELECT s.slot_name FROM pg_replication_slots s
               WHERE s.slot_name = 'vectorshard_' || (SELECT oid FROM pg_database WHERE datname = current_database()) LOOP
    PERFORM pg_drop_replication_slot(slot);
  END LOOP;
  CREATE PUBLICATION vectorshard FOR TABLE ONLY vectorshard.node, ONLY vectorshard.shard_table, ONLY vectorshard.client,
    ONLY vectorshard.wish, ONLY vectorshard.holder, ONLY vectorshard.policy, ONLY vectorshard.store,
    ONLY vectorshard.segment, ONLY vectorshard.erasure, ONLY vectorshard.node_state, ONLY vectorshard.price, ONLY vectorshard.quality, ONLY vectorshard.ddl, ONLY vectorshard.tombstone, ONLY vectorshard.motion WITH (publish = 'insert, update');
  CREATE TRIGGER node_changed AFTER INSERT OR UPDATE ON vectorshard.node
    FOR EACH ROW EXECUTE FUNCTION vectorshard.node_changed();
  ALTER TABLE vectorshard.node ENABLE ALWAYS TRIGGER node_changed;
  IF EXISTS (SELECT FROM pg_foreign_data_wrapper WHERE fdwname = 'vectorshard_fdw')
     AND NOT EXISTS (SELECT FROM pg_foreign_server WHERE srvname = 'fabric') THEN
    CREATE SERVER fabric FOREIGN DATA WRAPPER vectorshard_fdw;
    COMMENT ON SERVER fabric IS 'vectorshard: its user mapping is how this node logs in at the others';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.set_up_member() IS 'internal: publication, reaction to new nodes, server fabric';
REVOKE ALL ON FUNCTION vectorshard.set_up_member() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.create_fabric(node_name text, location geometry, address text DEFAULT NULL,
                                                     coverage geometry DEFAULT NULL) RETURNS int
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  place record;
  version bigint := vectorshard.first_version(1);
  before text := current_setting('session_replication_role');
BEGIN
  location := vectorshard.in_degrees(location);
  coverage := vectorshard.in_degrees(coverage);
  PERFORM vectorshard.check_new_member(node_name, vectorshard.bad_location(location), vectorshard.bad_coverage(coverage));
  place := vectorshard.parse_address(address);
  -- The triggers of the shipped tables stamp by the clock of this node, which runs only once it has a number.
  PERFORM set_config('session_replication_role', 'replica', true);
  INSERT INTO vectorshard.node (node, name, kind, uuid, incarnation, state, registrar, host, port, dbname, location, coverage, _version)
    VALUES (1, node_name, 'core', vectorshard.boot_uuid(), version, 'active', true, place.host, place.port, place.dbname,
            location, coverage, version);
  PERFORM set_config('session_replication_role', before, true);
  PERFORM vectorshard.set_up_member();
  PERFORM vectorshard.adopt_identity(1, version);
  RETURN 1;
END $$;
COMMENT ON FUNCTION vectorshard.create_fabric(text, geometry, text, geometry) IS
  'makes this database the first node (core, registrar) of a new fabric';
REVOKE ALL ON FUNCTION vectorshard.create_fabric(text, geometry, text, geometry) FROM PUBLIC;

-- Whatever node hears of a new node owes it every table that all nodes hold in full: that closes the gap between the
-- snapshot which the new node was given and the moment from which changes are sent to it.
CREATE OR REPLACE FUNCTION vectorshard.node_changed() RETURNS trigger
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  PERFORM vectorshard.bump_catalog_epoch();
  IF NEW.node = vectorshard.self_node() THEN RETURN NULL; END IF;
  IF NEW.state = 'removed' THEN
    -- Every node drops these on its own; they are stated by nobody any more.
    DELETE FROM vectorshard.peer_debt WHERE peer = NEW.node;
    -- What it wrote may have reached one holder and not another: the home and the holders even it out (owed_after_move in
    -- src/core/ship/debt_rules.hpp).
    INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
      SELECT CASE c.home WHEN vectorshard.self_node() THEN h.node ELSE c.home END, r.client, ''
        FROM vectorshard.holder x
        JOIN vectorshard.resident r ON r.client = x.client
        JOIN vectorshard.client c ON c.client = x.client
        JOIN vectorshard.holder h ON h.client = x.client AND h.state IN ('copying', 'live')
       WHERE x.node = NEW.node AND x.state IN ('copying', 'live')
         AND h.node <> NEW.node AND c.home <> NEW.node AND (h.node = vectorshard.self_node()) = (c.home <> vectorshard.self_node())
       GROUP BY 1, 2
      ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error;
    DELETE FROM vectorshard.wish WHERE node = NEW.node OR planner = NEW.node;
    DELETE FROM vectorshard.holder WHERE node = NEW.node;
    DELETE FROM vectorshard.node_state WHERE node = NEW.node;
  ELSIF TG_OP = 'INSERT' OR NEW.incarnation > OLD.incarnation THEN
    -- A node that is new, or back from the past, is owed everything.
    INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
      SELECT NEW.node, '', 'vectorshard.' || t
        FROM unnest(ARRAY['node', 'shard_table', 'client', 'wish', 'holder', 'policy', 'store', 'segment', 'erasure', 'node_state', 'price', 'quality', 'ddl']) t
      UNION ALL
      SELECT NEW.node, '', s.table_name FROM vectorshard.shard_table s WHERE s.kind = 'reference' AND s.state = 'enrolled'
      UNION ALL
      SELECT NEW.node, r.client, '' FROM vectorshard.resident r
       WHERE EXISTS (SELECT FROM vectorshard.client c WHERE c.client = r.client AND c.home = NEW.node)
          OR EXISTS (SELECT FROM vectorshard.holder h WHERE h.client = r.client AND h.node = NEW.node AND h.state <> 'gone')
      ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error;
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION vectorshard.node_changed() IS 'internal: what a node does when it hears of a new or removed node';
REVOKE ALL ON FUNCTION vectorshard.node_changed() FROM PUBLIC;

-- A node asks for a new incarnation: see src/pg/fabric/new_life.cpp. The registrar gives it; of itself it asks others,
-- who only look. All nodes come along: the asker may have forgotten some, and numbers are never used again.
CREATE OR REPLACE FUNCTION vectorshard.grant_life(p_node int, p_uuid uuid, p_token bigint) RETURNS SETOF vectorshard.node
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  n vectorshard.node;
BEGIN
  PERFORM vectorshard.require_certain();
  SELECT * INTO n FROM vectorshard.node WHERE node = p_node AND uuid = p_uuid;
  IF n.state IS NULL OR n.state = 'removed' THEN
    RAISE EXCEPTION 'node % is not in the fabric', p_node USING
      ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Its state is %L.', n.state), HINT = 'Let it join with a new database.';
  END IF;
  IF NOT vectorshard.answers_as(p_node, p_token) THEN
    RAISE EXCEPTION 'another server answers as node %', quote_literal(n.name) USING
      ERRCODE = 'object_in_use', DETAIL = format('It is the one at host=%s port=%s dbname=%s.', n.host, n.port, n.dbname),
      HINT = 'Stop one of the two. If the right one has another address now, correct it in vectorshard.node on the registrar.';
  END IF;
  IF NOT n.registrar THEN
    IF NOT (SELECT registrar FROM vectorshard.node WHERE node = vectorshard.self_node()) THEN
      RAISE EXCEPTION 'this node is not the registrar' USING
        ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Ask again: the row that says who it is now is on its way.';
    END IF;
    UPDATE vectorshard.node SET incarnation = vectorshard.next_version() WHERE node = p_node;
  END IF;
  RETURN QUERY SELECT * FROM vectorshard.node;
END $$;
COMMENT ON FUNCTION vectorshard.grant_life(int, uuid, bigint) IS 'internal: gives the server at the address of a node a new incarnation';
REVOKE ALL ON FUNCTION vectorshard.grant_life(int, uuid, bigint) FROM PUBLIC;

-- What this node says it holds is what is here: after a new incarnation, and when rows of its own came back from peers.
CREATE OR REPLACE FUNCTION vectorshard.restate_holdings() RETURNS void
  LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  UPDATE vectorshard.holder h SET generation = greatest(h.generation, vectorshard.next_version()),
         state = CASE WHEN EXISTS (SELECT FROM vectorshard.cold_client c WHERE c.client = h.client) THEN 'cold' ELSE 'gone' END,
         store = (SELECT g.store FROM vectorshard.cold_client c JOIN vectorshard.segment g ON g.segment = c.segment WHERE c.client = h.client LIMIT 1)
   WHERE h.node = vectorshard.self_node() AND h.state IN ('live', 'cold')
     AND NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = h.client)
     AND (h.state = 'live' OR NOT EXISTS (SELECT FROM vectorshard.cold_client c LEFT JOIN vectorshard.segment g ON g.segment = c.segment
                                           WHERE c.client = h.client AND coalesce(g.store, '') = coalesce(h.store, '')));
  INSERT INTO vectorshard.holder AS h (client, node, generation, state, _version)
    SELECT r.client, vectorshard.self_node(), r.generation, 'live', 0 FROM vectorshard.resident r
      LEFT JOIN vectorshard.holder h ON h.client = r.client AND h.node = vectorshard.self_node()
     WHERE h.state IS DISTINCT FROM 'live' OR h.generation < r.generation
  ON CONFLICT (client, node) DO UPDATE SET state = 'live', generation = greatest(h.generation, excluded.generation);
$$;
COMMENT ON FUNCTION vectorshard.restate_holdings() IS 'internal: makes this node''s holder rows say what it holds';
REVOKE ALL ON FUNCTION vectorshard.restate_holdings() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.begin_new_life() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  stamp bigint := vectorshard.next_version();
BEGIN
  -- New residencies: nothing that counts by residency goes on counting where it had stopped. Copies are made again.
  UPDATE vectorshard.resident r SET generation = stamp, leaving = false,
         confirmed = EXISTS (SELECT FROM vectorshard.client c WHERE c.client = r.client AND c.home = vectorshard.self_node());
  UPDATE vectorshard.holder SET generation = stamp, state = 'gone' WHERE node = vectorshard.self_node() AND state = 'copying';
  PERFORM vectorshard.restate_holdings();
  INSERT INTO vectorshard.peer_debt (peer, client, table_name) VALUES (0, '', '*') ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION vectorshard.begin_new_life() IS 'internal: a node that was in doubt says anew what it holds, and owes all of it';
REVOKE ALL ON FUNCTION vectorshard.begin_new_life() FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.remove_node(node_name text, force boolean DEFAULT false) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  n vectorshard.node;
  r text;
  n_homes bigint;
BEGIN
  PERFORM vectorshard.require_member();
  SELECT name INTO r FROM vectorshard.node WHERE registrar AND state <> 'removed' AND node <> vectorshard.self_node();
  IF r IS NOT NULL THEN
    RAISE EXCEPTION 'only the registrar removes nodes' USING
      ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('The registrar is node %L.', r),
      HINT = format('Call vectorshard.remove_node(%L) there.', node_name);
  END IF;
  SELECT * INTO n FROM vectorshard.node WHERE name = node_name AND state <> 'removed' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'node % is not in the fabric', coalesce(quote_literal(node_name), 'null') USING
      ERRCODE = 'undefined_object', DETAIL = 'No node of that name is in it.', HINT = 'Look at the view vectorshard.nodes.';
  END IF;
  IF n.registrar THEN
    RAISE EXCEPTION 'the registrar cannot be removed' USING
      ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Node %L gives the node numbers.', node_name),
      HINT = 'Call vectorshard.transfer_registrar() first; a fabric ends with its last registrar.';
  END IF;
  SELECT count(*) INTO n_homes FROM vectorshard.client WHERE home = n.node;
  IF force THEN
    UPDATE vectorshard.node SET state = 'removed' WHERE node = n.node;
    IF n_homes > 0 THEN
      RAISE WARNING 'node % was the home of % clients', quote_literal(node_name), n_homes USING
        DETAIL = 'They get a new home; what that node had not shipped, and clients that nobody else holds, are lost.',
        HINT = 'Look at vectorshard.conflicts for home_taken and client_lost, and make sure that the node does not run any more.';
    END IF;
  ELSIF n.state = 'active' THEN
    UPDATE vectorshard.node SET state = 'leaving' WHERE node = n.node;
    RAISE NOTICE 'node % is leaving', quote_literal(node_name) USING
      DETAIL = format('It hands over %s homes, lets its copies go, and is removed when all it wrote has been delivered.', n_homes),
      HINT = 'Watch vectorshard.nodes. If the node is dead: remove_node(…, force => true).';
  ELSE
    RAISE NOTICE 'node % is leaving already', quote_literal(node_name) USING
      DETAIL = format('%s homes and %s copies are left.', n_homes, (SELECT count(*) FROM vectorshard.holder WHERE node = n.node AND state <> 'gone')),
      HINT = 'If the node is dead: remove_node(…, force => true).';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.remove_node(text, boolean) IS
  'has a node leave the fabric, or takes a dead one out of it (force); on the registrar; its number is never used again';
REVOKE ALL ON FUNCTION vectorshard.remove_node(text, boolean) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.transfer_registrar(to_node text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  here vectorshard.node;
  target vectorshard.node;
BEGIN
  PERFORM vectorshard.require_member();
  LOCK TABLE vectorshard.node IN SHARE ROW EXCLUSIVE MODE;
  SELECT * INTO here FROM vectorshard.node WHERE node = vectorshard.self_node();
  IF NOT here.registrar THEN
    RAISE EXCEPTION 'this node is not the registrar' USING
      ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('It is node %L.', here.name),
      HINT = 'Call it on the node that vectorshard.nodes shows as registrar.';
  END IF;
  SELECT * INTO target FROM vectorshard.node WHERE name = to_node AND state = 'active' AND kind = 'core';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'node % cannot be the registrar', coalesce(quote_literal(to_node), 'null') USING
      ERRCODE = 'invalid_parameter_value', HINT = 'Give an active core node from the view vectorshard.nodes.';
  END IF;
  IF target.node = here.node THEN RETURN; END IF;
  -- One transaction and one sender: nobody hears of two registrars. Until the target hears, nobody gives numbers.
  UPDATE vectorshard.node SET registrar = false WHERE node = here.node;
  UPDATE vectorshard.node SET registrar = true WHERE node = target.node;
END $$;
COMMENT ON FUNCTION vectorshard.transfer_registrar(text) IS 'makes another core node the registrar, which gives node numbers; on the registrar';
REVOKE ALL ON FUNCTION vectorshard.transfer_registrar(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.require_member() RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF vectorshard.self_node() = 0 THEN
    RAISE EXCEPTION 'this database is not a member of a fabric' USING
      ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = 'vectorshard.self_node() is 0 until create_fabric() or join_fabric() has committed.',
      HINT = 'Call vectorshard.create_fabric() or vectorshard.join_fabric() first, in a transaction of its own.';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.require_member() IS 'internal: raises if this database is not a node';
REVOKE ALL ON FUNCTION vectorshard.require_member() FROM PUBLIC;

CREATE OR REPLACE VIEW vectorshard.nodes AS
  SELECT n.node, n.name, n.kind, n.state, n.node = vectorshard.self_node() AS is_self, n.registrar,
         n.host, n.port, n.dbname, n.location, n.coverage,
         (SELECT count(*) FROM vectorshard.holder h WHERE h.node = n.node AND h.state = 'live') AS clients
    FROM vectorshard.node n;
COMMENT ON VIEW vectorshard.nodes IS 'the nodes of the fabric, as this node knows them; clients: how many are resident there';
