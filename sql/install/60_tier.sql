-- Tier: stores, policies, moves of clients between heap and store. Moves of partitions: 61_tier_partition.sql; what operators
-- look at: 62_tier_operators.sql. The work is done by the tiering worker (src/pg/tier/worker.cpp), which a new row in tier_move wakes.

CREATE TABLE vectorshard.tier_policy (
  table_name  text COLLATE "C" PRIMARY KEY,
  move_after  interval,
  store       text NOT NULL,
  paused      boolean NOT NULL DEFAULT false,
  due         bigint,                      -- of clients: how many were due when they were last looked for
  moved       bigint NOT NULL DEFAULT 0,   -- of moves that are forgotten in tier_move: how many,
  moved_rows  bigint NOT NULL DEFAULT 0,   -- and what they moved
  moved_bytes bigint NOT NULL DEFAULT 0,
  last_run    timestamptz,
  last_error  text
);
COMMENT ON TABLE vectorshard.tier_policy IS
  'what goes to which store by itself on this node: clients (table_name empty) or partitions of a table; and how that went';
SELECT pg_catalog.pg_extension_config_dump('vectorshard.tier_policy', '');

CREATE FUNCTION vectorshard.probe_store(name text, url text, encrypted boolean) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_probe_store';
COMMENT ON FUNCTION vectorshard.probe_store(text, text, boolean) IS
  'internal: raises unless an object can be written to, read from and removed from the store at this URL now';

CREATE FUNCTION vectorshard.store_kind(url text) RETURNS text
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_store_kind';
COMMENT ON FUNCTION vectorshard.store_kind(text) IS 'internal: file, s3 or azure; raises if the URL is none of a store';

CREATE FUNCTION vectorshard.check_store(name text, OUT step text, OUT ok boolean, OUT detail text) RETURNS SETOF record
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_check_store';
COMMENT ON FUNCTION vectorshard.check_store(text) IS
  'writes an object to a store, looks at it, reads it whole and in part, lists and removes it; what fails is told in words';
REVOKE ALL ON FUNCTION vectorshard.check_store(text) FROM PUBLIC;

CREATE FUNCTION vectorshard.thaw(segment text) RETURNS text
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_thaw';
COMMENT ON FUNCTION vectorshard.thaw(text) IS
  'asks an archive for the object of a segment; gives online, thawing or archived';
REVOKE ALL ON FUNCTION vectorshard.thaw(text) FROM PUBLIC;

CREATE FUNCTION vectorshard.bring_back(client text) RETURNS boolean
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_bring_back';
COMMENT ON FUNCTION vectorshard.bring_back(text) IS
  'internal: brings a cold client of this home back into the heap; false if it is not cold';

CREATE FUNCTION vectorshard.wake_tiering() RETURNS trigger
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'vectorshard_wake_tiering';
COMMENT ON FUNCTION vectorshard.wake_tiering() IS 'internal: wakes the tiering worker when the transaction commits';

CREATE TRIGGER wake_tiering AFTER INSERT ON vectorshard.tier_move
  FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.wake_tiering();
CREATE TRIGGER wake_tiering AFTER UPDATE OF paused ON vectorshard.tier_policy
  FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.wake_tiering();
CREATE INDEX tier_move_unfinished ON vectorshard.tier_move (move) WHERE state NOT IN ('done', 'failed');

-- The foreign server of a store, whose user mapping has the credentials; true if there is one.
CREATE FUNCTION vectorshard.make_store_server(name text, kind text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  server record;
BEGIN
  SELECT s.oid, s.srvowner, w.fdwname = 'vectorshard_fdw' AND s.srvtype IS NOT DISTINCT FROM 'store' AS of_store INTO server
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.srvname = name;
  IF NOT server.of_store OR EXISTS (SELECT FROM vectorshard.node n WHERE n.name = name) THEN
    RAISE duplicate_object USING MESSAGE = format('a store cannot be called "%s"', name),
      DETAIL = 'A node or a foreign server has this name; the credentials of a store stand in a foreign server of its name and of TYPE ''store''.',
      HINT = 'Choose another name.';
  END IF;
  IF server.oid IS NULL THEN EXECUTE format('CREATE SERVER %I TYPE ''store'' FOREIGN DATA WRAPPER vectorshard_fdw', name); END IF;
  IF EXISTS (SELECT FROM pg_user_mapping m WHERE m.umserver = server.oid AND m.umuser = server.srvowner) THEN RETURN true; END IF;
  RAISE NOTICE USING MESSAGE = format('store "%s" has no credentials on this node yet', name),
    HINT = format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (%s); then look at vectorshard.check_store(%L).', name,
      CASE kind WHEN 's3' THEN 'access_key_id ''…'', secret_access_key ''…''' ELSE 'account_key ''…''' END, name);
  RETURN false;
END $$;
COMMENT ON FUNCTION vectorshard.make_store_server(text, text) IS 'internal: makes the foreign server of a store; true if its owner has a user mapping';
REVOKE ALL ON FUNCTION vectorshard.make_store_server(text, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.create_store(name text, url text, thaw_s float8 DEFAULT NULL, encrypted boolean DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  there text;
  sealed boolean;
  kind text;
BEGIN
  PERFORM vectorshard.require_member();
  IF name IS NULL OR url IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'name and url of a store must not be null',
      HINT = 'For example: vectorshard.create_store(''cold'', ''file:///srv/cold'').';
  END IF;
  IF thaw_s < 0 OR thaw_s >= 'Infinity' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'thaw_s must be a number of seconds from 0 on',
      DETAIL = format('Given: %s.', thaw_s), HINT = 'Give how long the store takes to give rows back.';
  END IF;
  IF name !~ '^[A-Za-z0-9_-]{1,63}$' THEN
    RAISE invalid_parameter_value USING MESSAGE = format('"%s" is no name for a store', name),
      HINT = 'Use 1 to 63 letters, digits, "_" and "-".';
  END IF;
  SELECT s.url, s.encrypted INTO there, sealed FROM vectorshard.store s WHERE s.store = name;
  IF there IS DISTINCT FROM url AND there IS NOT NULL THEN
    RAISE duplicate_object USING MESSAGE = format('store "%s" exists with another URL', name),
      DETAIL = format('Its URL is %s.', there), HINT = 'Choose another name, or drop the store first.';
  END IF;
  IF sealed <> encrypted THEN
    RAISE duplicate_object USING MESSAGE = format('store "%s" exists %s encryption', name, CASE WHEN sealed THEN 'with' ELSE 'without' END),
      DETAIL = 'The objects in it were written so.', HINT = 'Make another store, with another folder, and move what is in this one.';
  END IF;
  sealed := coalesce(encrypted, sealed, false);
  kind := vectorshard.store_kind(url);
  IF kind = 'file' OR vectorshard.make_store_server(name, kind) THEN
    PERFORM vectorshard.probe_store(name, url, sealed);
  END IF;
  IF there IS NULL THEN
    INSERT INTO vectorshard.store (store, url, _version, thaw_s, encrypted) VALUES (name, url, 0, coalesce(thaw_s, 0), sealed);
  ELSIF thaw_s IS NOT NULL THEN
    UPDATE vectorshard.store s SET thaw_s = create_store.thaw_s WHERE s.store = name;
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.create_store(text, text, float8, boolean) IS
  'names an object store (file:///directory, s3://bucket, azure://account/container), after an object could be written, read and removed there if this node has its credentials';
REVOKE ALL ON FUNCTION vectorshard.create_store(text, text, float8, boolean) FROM PUBLIC;

CREATE FUNCTION vectorshard.require_store(name text) RETURNS text
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  names text[];
BEGIN
  SELECT array_agg(s.store ORDER BY s.store) INTO names FROM vectorshard.store s;
  IF name = ANY (names) THEN
    RETURN name;
  ELSIF names IS NULL THEN
    RAISE undefined_object USING MESSAGE = coalesce('store "' || name || '" does not exist', 'there is no store'),
      DETAIL = 'No store was made yet.', HINT = 'Make one with vectorshard.create_store(name, url).';
  ELSIF name IS NOT NULL THEN
    RAISE undefined_object USING MESSAGE = format('store "%s" does not exist', name),
      DETAIL = format('Stores: %s.', array_to_string(names, ', ')), HINT = 'Make it with vectorshard.create_store(name, url).';
  ELSIF cardinality(names) > 1 THEN
    RAISE ambiguous_parameter USING MESSAGE = 'which store is meant?',
      DETAIL = format('Stores: %s.', array_to_string(names, ', ')), HINT = 'Name one of them.';
  END IF;
  RETURN names[1];
END $$;
COMMENT ON FUNCTION vectorshard.require_store(text) IS 'internal: the store of that name; null: the only one';

CREATE FUNCTION vectorshard.drop_store(name text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  live bigint;
  moves bigint;
BEGIN
  PERFORM vectorshard.require_member();
  IF name IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'name of a store must not be null', HINT = 'Give a name from vectorshard.store.';
  END IF;
  PERFORM vectorshard.require_store(name);
  PERFORM vectorshard.retire_segments();
  SELECT count(*) INTO live FROM vectorshard.segment s WHERE s.store = name AND s.state = 'live';
  SELECT count(*) INTO moves FROM vectorshard.tier_move m WHERE m.store = name AND m.state NOT IN ('done', 'failed');
  IF live > 0 OR moves > 0 THEN
    RAISE object_in_use USING MESSAGE = format('store "%s" is in use', name),
      DETAIL = format('Segments: %s, unfinished moves: %s.', live, moves),
      HINT = 'Bring its rows back with vectorshard.move_to_hot() and wait for the moves to end.';
  END IF;
  IF EXISTS (SELECT FROM vectorshard.tier_policy p WHERE p.store = name) THEN
    RAISE object_in_use USING MESSAGE = format('store "%s" is in use', name), DETAIL = 'A policy moves rows to it.',
      HINT = 'Call vectorshard.remove_tier_policy() first.';
  END IF;
  IF EXISTS (SELECT FROM pg_foreign_table t JOIN pg_foreign_server f ON f.oid = t.ftserver WHERE f.srvname = name AND f.srvtype = 'store') THEN
    RAISE object_in_use USING MESSAGE = format('store "%s" is in use', name),
      DETAIL = (SELECT format('Foreign tables read files in it: %s.', string_agg(t.ftrelid::regclass::text, ', ' ORDER BY t.ftrelid::regclass::text))
                  FROM pg_foreign_table t JOIN pg_foreign_server f ON f.oid = t.ftserver WHERE f.srvname = name),
      HINT = 'Drop them first.';
  END IF;
  DELETE FROM vectorshard.segment s WHERE s.store = name;
  DELETE FROM vectorshard.store s WHERE s.store = name;
  DELETE FROM vectorshard.store_price p WHERE p.store = name;
  IF EXISTS (SELECT FROM pg_foreign_server f WHERE f.srvname = name AND f.srvtype = 'store') THEN
    EXECUTE format('DROP SERVER %I CASCADE', name);  -- with its user mappings
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.drop_store(text) IS
  'forgets a store that holds no rows; objects that are no longer needed stay in it';
REVOKE ALL ON FUNCTION vectorshard.drop_store(text) FROM PUBLIC;

CREATE FUNCTION vectorshard.add_tier_policy(partitioned_table regclass, move_after interval, store text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  PERFORM vectorshard.require_member();
  IF move_after <= interval '0' OR (partitioned_table IS NOT NULL AND move_after IS NULL) THEN
    RAISE invalid_parameter_value USING MESSAGE = 'move_after must be a positive interval',
      DETAIL = format('Given: %s.', coalesce(move_after::text, 'null')), HINT = 'For example: interval ''90 days''.';
  END IF;
  IF partitioned_table IS NOT NULL THEN PERFORM vectorshard.partition_time_type(partitioned_table); END IF;
  INSERT INTO vectorshard.tier_policy (table_name, move_after, store)
  VALUES (coalesce(vectorshard.name_of(partitioned_table), ''), move_after, vectorshard.require_store(store))
  ON CONFLICT (table_name) DO UPDATE SET move_after = excluded.move_after, store = excluded.store;
END $$;
COMMENT ON FUNCTION vectorshard.add_tier_policy(regclass, interval, text) IS
  'moves to a store by itself: with a table, its range partitions that ended move_after ago; with null, clients of this home idle for move_after of the clients'' clock (null: client_idle_s)';
REVOKE ALL ON FUNCTION vectorshard.add_tier_policy(regclass, interval, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.no_such_policy(partitioned_table regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RAISE undefined_object USING MESSAGE = 'there is no such policy',
    DETAIL = coalesce('Table: ' || partitioned_table::text || '.', 'For clients.'), HINT = 'Look at vectorshard.tier_policies.';
END $$;
COMMENT ON FUNCTION vectorshard.no_such_policy(regclass) IS 'internal: raises that a table (null: clients) has no policy';

CREATE FUNCTION vectorshard.remove_tier_policy(partitioned_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  DELETE FROM vectorshard.tier_policy p WHERE p.table_name = coalesce(vectorshard.name_of(partitioned_table), '');
  IF NOT FOUND THEN PERFORM vectorshard.no_such_policy(partitioned_table); END IF;
END $$;
COMMENT ON FUNCTION vectorshard.remove_tier_policy(regclass) IS 'ends a policy; null: that of clients. What is in the store stays there';
REVOKE ALL ON FUNCTION vectorshard.remove_tier_policy(regclass) FROM PUBLIC;

-- Home and residency of a client, for moves of it; raises if this node is not its home.
CREATE FUNCTION vectorshard.require_own_client(client text) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  home int;
BEGIN
  PERFORM vectorshard.require_member();
  IF client IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'client must not be null',
      HINT = 'Give the value of the client column of the client''s rows.';
  END IF;
  SELECT c.home INTO home FROM vectorshard.client c WHERE c.client = client;
  IF home IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', client),
      DETAIL = 'A client is known once a row of it was inserted on some node.',
      HINT = CASE WHEN client ~ '^[[:alnum:]_.]+$' AND to_regclass(client) IS NOT NULL THEN format('To move a partition, write %L::regclass.', client)
                  ELSE 'Insert a row of the client first.' END;
  END IF;
  IF home <> vectorshard.self_node() THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('this node is not the home of client "%s"', client),
      DETAIL = format('Its home is node %s (%s).', home, (SELECT n.name FROM vectorshard.node n WHERE n.node = home)),
      HINT = 'Call the function there.';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.require_own_client(text) IS 'internal: raises unless this node is the home of the client';

CREATE FUNCTION vectorshard.move_to_cold(client text, store text DEFAULT NULL) RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  target text := vectorshard.require_store(coalesce(store, (SELECT p.store FROM vectorshard.tier_policy p WHERE p.table_name = '')));
  others text;
  move bigint;
BEGIN
  PERFORM vectorshard.require_own_client(client);
  IF EXISTS (SELECT FROM vectorshard.cold_client k WHERE k.client = client) THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('client "%s" is in a store already', client),
      HINT = 'Nothing is to be done; vectorshard.move_to_hot() brings it back.';
  END IF;
  SELECT min(p.policy) INTO others FROM vectorshard.policy p
   WHERE p.kind = 'tier' AND p.client IN (client, '') AND p.valid_from <= now() AND p.valid_to > now()
     AND vectorshard.below_floor(p.tier, (SELECT s.thaw_s FROM vectorshard.store s WHERE s.store = target));
  IF others IS NOT NULL THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('a policy keeps client "%s" out of store "%s"', client, target),
      DETAIL = (SELECT format('Policy "%s": the tier is %s at least.', p.policy, p.tier) FROM vectorshard.policy p WHERE p.policy = others),
      HINT = 'End it with vectorshard.end_policy() first.';
  END IF;
  SELECT string_agg(n.name, ', ' ORDER BY n.name) INTO others
    FROM vectorshard.holder h JOIN vectorshard.node n ON n.node = h.node
   WHERE h.client = client AND h.state <> 'gone' AND h.node <> vectorshard.self_node() AND n.state <> 'removed';
  IF others IS NOT NULL THEN
    RAISE object_in_use USING MESSAGE = format('client "%s" is in use on other nodes', client),
      DETAIL = format('Nodes that hold it: %s.', others), HINT = 'Call vectorshard.evict() there first.';
  END IF;
  SELECT string_agg(format('node %s until %s (%s)', w.node, w.until, w.reason), ', ' ORDER BY w.node) INTO others
    FROM vectorshard.wish w WHERE w.client = client AND w.until > now();
  IF others IS NOT NULL THEN
    RAISE object_in_use USING MESSAGE = format('client "%s" is wished, it would be brought back at once', client),
      DETAIL = format('Wishes: %s.', others), HINT = 'Wait until the wishes end; vectorshard.place() ends a pin.';
  END IF;
  INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail)
  VALUES ('client', 'cold', client, target, 'planned', jsonb_build_object('clients', ARRAY[client])) RETURNING tier_move.move INTO move;
  RETURN move;
END $$;
COMMENT ON FUNCTION vectorshard.move_to_cold(text, text) IS
  'moves a client of this home to a store once the transaction has committed; returns the number of the move in tier_moves';
REVOKE ALL ON FUNCTION vectorshard.move_to_cold(text, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.move_to_hot(client text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  PERFORM vectorshard.require_own_client(client);
  RETURN vectorshard.bring_back(client);
END $$;
COMMENT ON FUNCTION vectorshard.move_to_hot(text) IS
  'brings a client of this home back from its store, within the transaction; false if it is not in a store';
REVOKE ALL ON FUNCTION vectorshard.move_to_hot(text) FROM PUBLIC;

CREATE FUNCTION vectorshard.retire_segments() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  UPDATE vectorshard.segment s SET state = 'dead'
   WHERE s.home = vectorshard.self_node() AND s.kind = 'client' AND s.state = 'live'
     AND NOT EXISTS (SELECT FROM vectorshard.cold_client k WHERE k.segment = s.segment);
  UPDATE vectorshard.segment s SET state = 'dead'
   WHERE s.home = vectorshard.self_node() AND s.kind = 'partition' AND s.state = 'live'
     AND NOT EXISTS (SELECT FROM vectorshard.cold_partition p WHERE p.segment = s.segment AND vectorshard.is_stub(p.relid))
     AND NOT EXISTS (SELECT FROM vectorshard.tier_move m WHERE m.segment = s.segment AND m.state NOT IN ('done', 'failed')
                        AND (m.direction = 'hot' OR m.state <> 'grace'));
  DELETE FROM vectorshard.cold_partition p WHERE NOT vectorshard.is_stub(p.relid);  -- dropped, or rewritten as a heap
  DELETE FROM vectorshard.tier_write w
   WHERE NOT EXISTS (SELECT FROM vectorshard.tier_move m WHERE m.move = w.move AND m.state NOT IN ('done', 'failed'));
  WITH forgotten AS (
    DELETE FROM vectorshard.tier_move m
     WHERE m.state IN ('done', 'failed') AND m.changed_at < now() - interval '7 days' RETURNING m.*)
  UPDATE vectorshard.tier_policy p
     SET moved = p.moved + f.moves, moved_rows = p.moved_rows + f.rows, moved_bytes = p.moved_bytes + f.bytes
    FROM (SELECT m.detail ->> 'policy' AS policy, count(*) AS moves, coalesce(sum(m.rows), 0) AS rows, coalesce(sum(m.bytes), 0) AS bytes
            FROM forgotten m WHERE m.state = 'done' AND m.direction = 'cold' GROUP BY 1) f
   WHERE p.table_name = f.policy;
END $$;
COMMENT ON FUNCTION vectorshard.retire_segments() IS
  'internal: marks segments that nothing refers to any more as dead, and forgets moves that ended a week ago';
