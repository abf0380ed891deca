-- Tier: stores, policies, moves of clients between heap and store, and the views that show them. Moves of partitions:
-- second half. The work is done by the tiering worker (src/pg/tier/worker.cpp), which a new row in tier_move wakes.

CREATE TABLE vectorshard.tier_policy (
  table_name text COLLATE "C" PRIMARY KEY,
  move_after interval,
  store      text NOT NULL
);
COMMENT ON TABLE vectorshard.tier_policy IS
  'what goes to which store by itself on this node: clients (table_name empty) or partitions of a table';
SELECT pg_catalog.pg_extension_config_dump('vectorshard.tier_policy', '');

CREATE FUNCTION vectorshard.probe_store(name text, url text) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_probe_store';
COMMENT ON FUNCTION vectorshard.probe_store(text, text) IS
  'internal: raises unless an object can be written to, read from and removed from the store at this URL now';

CREATE FUNCTION vectorshard.bring_back(client text) RETURNS boolean
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_bring_back';
COMMENT ON FUNCTION vectorshard.bring_back(text) IS
  'internal: brings a cold client of this home back into the heap; false if it is not cold';

CREATE FUNCTION vectorshard.wake_tiering() RETURNS trigger
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'vectorshard_wake_tiering';
COMMENT ON FUNCTION vectorshard.wake_tiering() IS 'internal: wakes the tiering worker when the transaction commits';

CREATE TRIGGER wake_tiering AFTER INSERT ON vectorshard.tier_move
  FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.wake_tiering();
CREATE INDEX tier_move_unfinished ON vectorshard.tier_move (move) WHERE state NOT IN ('done', 'failed');

CREATE FUNCTION vectorshard.add_store(name text, url text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  there text;
BEGIN
  PERFORM vectorshard.require_member();
  IF name IS NULL OR url IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'name and url of a store must not be null',
      HINT = 'For example: vectorshard.add_store(''cold'', ''file:///srv/cold'').';
  END IF;
  IF name !~ '^[A-Za-z0-9_-]{1,63}$' THEN
    RAISE invalid_parameter_value USING MESSAGE = format('"%s" is no name for a store', name),
      HINT = 'Use 1 to 63 letters, digits, "_" and "-".';
  END IF;
  SELECT s.url INTO there FROM vectorshard.store s WHERE s.store = name;
  IF there IS DISTINCT FROM url AND there IS NOT NULL THEN
    RAISE duplicate_object USING MESSAGE = format('store "%s" exists with another URL', name),
      DETAIL = format('Its URL is %s.', there), HINT = 'Choose another name, or drop the store first.';
  END IF;
  PERFORM vectorshard.probe_store(name, url);
  IF there IS NULL THEN
    INSERT INTO vectorshard.store (store, url, _version) VALUES (name, url, 0);
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.add_store(text, text) IS
  'names an object store, after an object could be written, read and removed there; so far file:///directory';
REVOKE ALL ON FUNCTION vectorshard.add_store(text, text) FROM PUBLIC;

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
    RAISE undefined_object USING MESSAGE = 'there is no store', HINT = 'Add one with vectorshard.add_store(name, url).';
  ELSIF name IS NOT NULL THEN
    RAISE undefined_object USING MESSAGE = format('store "%s" does not exist', name),
      DETAIL = format('Stores: %s.', array_to_string(names, ', ')), HINT = 'Add it with vectorshard.add_store(name, url).';
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
  DELETE FROM vectorshard.segment s WHERE s.store = name;
  DELETE FROM vectorshard.store s WHERE s.store = name;
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

CREATE FUNCTION vectorshard.remove_tier_policy(partitioned_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  DELETE FROM vectorshard.tier_policy p WHERE p.table_name = coalesce(vectorshard.name_of(partitioned_table), '');
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = 'there is no such policy',
      DETAIL = coalesce('Table: ' || partitioned_table::text || '.', 'For clients.'), HINT = 'Look at vectorshard.tier_policy.';
  END IF;
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
  SELECT c.home INTO home FROM vectorshard.client c WHERE c.client = client;
  IF home IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', coalesce(client, 'null')),
      DETAIL = 'A client is known once a row of it was inserted on some node.',
      HINT = CASE WHEN to_regclass(client) IS NOT NULL THEN format('To move a partition, write %L::regclass.', client)
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
  SELECT string_agg(n.name, ', ' ORDER BY n.name) INTO others
    FROM vectorshard.holder h JOIN vectorshard.node n ON n.node = h.node
   WHERE h.client = client AND h.state <> 'gone' AND h.node <> vectorshard.self_node() AND n.state = 'active';
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
     AND NOT EXISTS (SELECT FROM pg_foreign_table f WHERE format('segment=%s', s.segment) = ANY (f.ftoptions))
     AND NOT EXISTS (SELECT FROM vectorshard.tier_move m WHERE m.segment = s.segment AND m.state NOT IN ('done', 'failed')
                        AND (m.direction = 'hot' OR m.state <> 'grace'));
  DELETE FROM vectorshard.tier_move m
   WHERE m.state IN ('done', 'failed') AND m.changed_at < now() - interval '7 days';
END $$;
COMMENT ON FUNCTION vectorshard.retire_segments() IS
  'internal: marks segments that nothing refers to any more as dead, and forgets moves that ended a week ago';

CREATE VIEW vectorshard.tier_moves AS
  SELECT m.move, m.kind, m.direction, m.subject, m.store, m.state, m.rows, m.bytes, m.detail ->> 'by' AS brought_back_by,
         coalesce((m.detail ->> 'attempts')::int, 0) AS errors, m.error, m.started_at, m.changed_at
    FROM vectorshard.tier_move m;
COMMENT ON VIEW vectorshard.tier_moves IS 'moves between heap and store on this node: unfinished ones, and ended ones for a week';

CREATE VIEW vectorshard.tier_usage AS
  SELECT 'hot' AS tier, NULL::text AS store, t.table_name,
         CASE WHEN t.kind = 'vector_shard' THEN (SELECT count(*) FROM vectorshard.resident) END AS clients,
         greatest(c.reltuples, 0)::bigint AS rows, pg_catalog.pg_table_size(c.oid) AS bytes, NULL::bigint AS segments,
         NULL::bigint AS back_by_prediction, NULL::bigint AS back_by_access
    FROM vectorshard.shard_table t JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.table_name)
   WHERE t.state = 'enrolled'
  UNION ALL
  SELECT 'cold', s.store, s.table_name, sum(k.clients)::bigint, sum(CASE s.kind WHEN 'client' THEN coalesce(k.rows, 0) ELSE s.rows END)::bigint, sum(s.bytes)::bigint,
         count(*), NULL, NULL
    FROM vectorshard.segment s
    LEFT JOIN LATERAL (SELECT count(*) AS clients, sum(c.rows) AS rows FROM vectorshard.cold_client c
                        WHERE c.segment = s.segment AND s.kind = 'client') k ON s.kind = 'client'
   WHERE s.home = vectorshard.self_node() AND s.state = 'live'
   GROUP BY s.store, s.table_name
  UNION ALL
  SELECT 'cold', st.store, NULL,
         (SELECT count(DISTINCT c.client) FROM vectorshard.cold_client c JOIN vectorshard.segment s ON s.segment = c.segment
           WHERE s.store = st.store),
         NULL, NULL, NULL,
         (SELECT count(*) FROM vectorshard.tier_move m WHERE m.store = st.store AND m.kind = 'client' AND m.direction = 'hot'
            AND m.detail ->> 'by' = 'prediction'),
         (SELECT count(*) FROM vectorshard.tier_move m WHERE m.store = st.store AND m.kind = 'client' AND m.direction = 'hot'
            AND m.detail ->> 'by' <> 'prediction')
    FROM vectorshard.store st;
COMMENT ON VIEW vectorshard.tier_usage IS
  'what this node holds in the heap and in stores, by table; the row without a table counts the clients of a store and why clients came back from it';

-- Moves of range partitions (src/pg/tier/partition_move.cpp): planned, fenced, settled, exported, verified, registered,
-- swapped, grace, done; back: planned, loaded, swapped, grace, done. Each function below is the SQL of one step and
-- runs in the transaction that writes the next state.

CREATE FUNCTION vectorshard.partition_time_type(partitioned_table regclass) RETURNS regtype
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  key_type regtype;
BEGIN
  SELECT a.atttypid INTO key_type
    FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
   WHERE p.partrelid = partitioned_table AND p.partstrat = 'r' AND p.partnatts = 1
     AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype);
  IF key_type IS NULL THEN
    RAISE wrong_object_type USING MESSAGE = format('"%s" has no partitions by time', partitioned_table),
      DETAIL = 'A policy needs a table partitioned by range of one column of type date, timestamp or timestamptz.',
      HINT = 'Move single partitions with vectorshard.move_to_cold(partition).';
  END IF;
  RETURN key_type;
END $$;
COMMENT ON FUNCTION vectorshard.partition_time_type(regclass) IS
  'internal: type of the time column by whose ranges a table is partitioned; raises for other tables';

CREATE FUNCTION vectorshard.check_movable(partition regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  c pg_class;
  parent pg_class;
  found text;
  refused text := format('cannot move "%s" to a store', partition);
BEGIN
  SELECT t.* INTO c FROM pg_class t WHERE t.oid = partition;
  SELECT t.* INTO parent FROM pg_inherits i JOIN pg_class t ON t.oid = i.inhparent WHERE i.inhrelid = partition;
  IF c.relkind = 'f' AND c.relispartition THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = refused, DETAIL = 'It is a foreign table.',
      HINT = 'If it is in a store already, vectorshard.move_to_hot() brings it back.';
  ELSIF c.relkind <> 'r' OR NOT c.relispartition THEN
    RAISE wrong_object_type USING MESSAGE = refused, DETAIL = 'It is not a partition that holds rows itself.',
      HINT = 'Give a partition of a table that is partitioned by range.';
  ELSIF pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' OR c.relpersistence <> 'p' OR
        NOT EXISTS (SELECT FROM pg_partitioned_table p
                     WHERE p.partrelid = parent.oid AND p.partstrat = 'r' AND p.partexprs IS NULL) THEN
    -- An expression in the key would run functions of the table's owner with the rights of the worker.
    RAISE wrong_object_type USING MESSAGE = refused,
      DETAIL = format('Its bound is %s, its key %s, its persistence "%s".', pg_get_expr(c.relpartbound, c.oid),
                      pg_get_partkeydef(parent.oid), c.relpersistence),
      HINT = 'Give a permanent partition with a range of columns.';
  END IF;
  SELECT string_agg(i.indexrelid::regclass::text, ', ') INTO found FROM pg_index i WHERE i.indrelid = parent.oid AND i.indisunique;
  IF found IS NOT NULL THEN
    RAISE feature_not_supported USING MESSAGE = refused,
      DETAIL = format('"%s" has unique indexes (%s), and PostgreSQL attaches no foreign table to it then.', parent.oid::regclass, found),
      HINT = 'Keep the keys on the partitions instead of the partitioned table.';
  END IF;
  SELECT string_agg(format('%s on %s', k.conname, k.conrelid::regclass), ', ') INTO found FROM pg_constraint k
   WHERE k.contype = 'f' AND (k.conrelid IN (parent.oid, c.oid) OR k.confrelid IN (parent.oid, c.oid));
  IF found IS NOT NULL THEN
    RAISE feature_not_supported USING MESSAGE = refused, DETAIL = format('Foreign keys: %s.', found),
      HINT = 'Foreign keys are not enforced on rows in a store; drop them first.';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.check_movable(regclass) IS 'internal: raises unless a partition can move to a store';

CREATE FUNCTION vectorshard.plan_partition_move(partition regclass, direction text, store text, segment text, grace interval)
  RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  under_way vectorshard.tier_move;
  move bigint;
BEGIN
  PERFORM vectorshard.require_member();
  IF grace IS NULL OR grace < interval '0' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'grace must not be negative',
      DETAIL = format('Given: %s.', coalesce(grace::text, 'null')), HINT = 'For example: interval ''1 day''.';
  END IF;
  SELECT m.* INTO under_way FROM vectorshard.tier_move m
   WHERE m.kind = 'partition' AND m.subject = vectorshard.name_of(partition) AND m.state NOT IN ('done', 'failed', 'grace');
  IF FOUND THEN
    RAISE object_in_use USING MESSAGE = format('"%s" is being moved', partition),
      DETAIL = format('Move %s is in state %s.', under_way.move, under_way.state), HINT = 'Look at vectorshard.tier_moves.';
  END IF;
  -- The copy that an earlier move still keeps is not needed beside a new one.
  UPDATE vectorshard.tier_move m SET detail = m.detail || '{"grace_s": 0}'
   WHERE m.kind = 'partition' AND m.subject = vectorshard.name_of(partition) AND m.state = 'grace';
  INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, segment, detail)
  SELECT 'partition', direction, vectorshard.name_of(partition), store, 'planned', segment,
         jsonb_build_object('relid', partition::oid::bigint, 'parent', i.inhparent::bigint,
                            'bound', pg_get_expr(c.relpartbound, c.oid), 'grace_s', extract(epoch FROM grace)::bigint)
    FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.oid = partition
  RETURNING tier_move.move INTO move;
  RETURN move;
END $$;
COMMENT ON FUNCTION vectorshard.plan_partition_move(regclass, text, text, text, interval) IS 'internal: records a planned move';

CREATE FUNCTION vectorshard.move_to_cold(partition regclass, store text DEFAULT NULL, grace interval DEFAULT '1 day')
  RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  PERFORM vectorshard.check_movable(partition);
  RETURN vectorshard.plan_partition_move(partition, 'cold', vectorshard.require_store(store), NULL, grace);
END $$;
COMMENT ON FUNCTION vectorshard.move_to_cold(regclass, text, interval) IS
  'moves a range partition to a store once the transaction has committed; the heap is dropped when grace has passed. Returns the number of the move in tier_moves';
REVOKE ALL ON FUNCTION vectorshard.move_to_cold(regclass, text, interval) FROM PUBLIC;

CREATE FUNCTION vectorshard.move_to_hot(partition regclass, grace interval DEFAULT '1 day') RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  s vectorshard.segment;
BEGIN
  SELECT g.* INTO s FROM pg_foreign_table f
    JOIN vectorshard.segment g ON format('segment=%s', g.segment) = ANY (f.ftoptions) AND g.kind = 'partition'
   WHERE f.ftrelid = partition;
  IF NOT FOUND THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" is not in a store', partition),
      HINT = 'Give a partition that vectorshard.move_to_cold() has moved.';
  END IF;
  RETURN vectorshard.plan_partition_move(partition, 'hot', s.store, s.segment, grace);
END $$;
COMMENT ON FUNCTION vectorshard.move_to_hot(regclass, interval) IS
  'brings a partition back from its store once the transaction has committed; the segment is kept until grace has passed. Returns the number of the move in tier_moves';
REVOKE ALL ON FUNCTION vectorshard.move_to_hot(regclass, interval) FROM PUBLIC;

CREATE FUNCTION vectorshard.refuse_moving() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RAISE object_in_use USING MESSAGE = format('partition "%s.%s" is being moved to a store', TG_TABLE_SCHEMA, TG_TABLE_NAME),
    DETAIL = 'Its rows cannot be changed meanwhile.',
    HINT = 'Wait until the move has ended (vectorshard.tier_moves); vectorshard.move_to_hot() makes it writable again.';
END $$;
COMMENT ON FUNCTION vectorshard.refuse_moving() IS 'trigger of a partition that is being moved: refuses writes';

CREATE FUNCTION vectorshard.fence_partition(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  part regclass := (SELECT (m.detail ->> 'relid')::oid::regclass FROM vectorshard.tier_move m WHERE m.move = move);
BEGIN
  PERFORM vectorshard.check_movable(part);
  -- Waits for open transactions that wrote here, and holds up new ones meanwhile: not for long at a time.
  SET LOCAL lock_timeout = '500ms';
  EXECUTE format('CREATE TRIGGER zz_vectorshard_moving BEFORE INSERT OR UPDATE OR DELETE ON %s
                    FOR EACH ROW EXECUTE FUNCTION vectorshard.refuse_moving()', part);
  EXECUTE format('CREATE TRIGGER zz_vectorshard_moving_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.refuse_moving()', part);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zz_vectorshard_moving,
                                 ENABLE ALWAYS TRIGGER zz_vectorshard_moving_truncate', part);
  UPDATE vectorshard.tier_move m
     SET detail = m.detail || jsonb_build_object('fence_xid', pg_current_xact_id()::text::bigint)
   WHERE m.move = move;
END $$;
COMMENT ON FUNCTION vectorshard.fence_partition(bigint) IS 'internal: from now on, writes to the partition are refused';

CREATE FUNCTION vectorshard.unfence_partition(relation regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE oid = relation) THEN RETURN; END IF;
  EXECUTE format('DROP TRIGGER IF EXISTS zz_vectorshard_moving ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS zz_vectorshard_moving_truncate ON %s', relation);
END $$;
COMMENT ON FUNCTION vectorshard.unfence_partition(regclass) IS 'internal: lets writes to a partition through again';

-- What a partition's heap is, as far as it may not change between export and swap.
CREATE FUNCTION vectorshard.heap_mark(relation regclass) RETURNS text
  LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT format('file %s, fence %s, columns %s', pg_relation_filenode(relation),
                (SELECT string_agg(t.oid || t.tgenabled::text, ' ' ORDER BY t.oid) FROM pg_trigger t
                  WHERE t.tgrelid = relation AND t.tgname LIKE 'zz\_vectorshard\_moving%'),
                (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                   FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped))
$$;
COMMENT ON FUNCTION vectorshard.heap_mark(regclass) IS
  'internal: file, fence and columns of a partition that is being moved, as text to compare';

-- Grants and comment of one relation to another.
CREATE FUNCTION vectorshard.dress_like(target regclass, model regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  g record;
BEGIN
  EXECUTE format('ALTER TABLE %s OWNER TO %I', target, (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = model));
  EXECUTE format('COMMENT ON %s %s IS %L', CASE (SELECT relkind FROM pg_class WHERE oid = target) WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
                 target, obj_description(model, 'pg_class'));
  FOR g IN SELECT a.privilege_type, a.is_grantable, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS who
             FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = model AND a.grantee <> c.relowner LOOP
    EXECUTE format('GRANT %s ON %s TO %s%s', g.privilege_type, target, g.who, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.dress_like(regclass, regclass) IS 'internal: gives a relation the owner, comment and grants of another';

CREATE FUNCTION vectorshard.swap_to_cold(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  heap regclass;
  parent regclass;
  schema_name text;
  part_name text;
  kept_name text;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  heap := (m.detail ->> 'relid')::oid::regclass;
  parent := (m.detail ->> 'parent')::oid::regclass;
  SET LOCAL lock_timeout = '500ms';
  EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', heap);
  IF vectorshard.heap_mark(heap) <> m.detail ->> 'mark' THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" changed while it was moved', heap),
      DETAIL = format('It was: %s. It is: %s.', m.detail ->> 'mark', vectorshard.heap_mark(heap));
  END IF;
  SELECT n.nspname, c.relname INTO schema_name, part_name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = heap;
  kept_name := left(part_name, 40) || '_moved_' || move;
  EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, heap);
  EXECUTE format('ALTER TABLE %s RENAME TO %I', heap, kept_name);
  EXECUTE format('CREATE FOREIGN TABLE %I.%I PARTITION OF %s %s SERVER fabric OPTIONS (role ''partition'', segment %L)',
                 schema_name, part_name, parent, m.detail ->> 'bound', m.segment);
  PERFORM vectorshard.dress_like(format('%I.%I', schema_name, part_name)::regclass, heap);
END $$;
COMMENT ON FUNCTION vectorshard.swap_to_cold(bigint) IS 'internal: the foreign table becomes the partition, the heap is detached';

CREATE FUNCTION vectorshard.load_partition(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  part regclass;
  heap text;
  columns text;
  typed text;
  loaded bigint;
  expected bigint;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  part := (m.detail ->> 'relid')::oid::regclass;
  SELECT format('%I.%I', n.nspname, left(c.relname, 40) || '_hot_' || move) INTO heap
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = part;
  PERFORM vectorshard.execute_as_owner(part, format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)',
                                                    heap, (m.detail ->> 'parent')::oid::regclass));
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
         string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
    INTO columns, typed FROM pg_attribute a WHERE a.attrelid = part AND a.attnum > 0 AND NOT a.attisdropped;
  loaded := vectorshard.execute_as_owner(part, format('INSERT INTO %s (%s) SELECT %s FROM vectorshard.segment_rows(%L, %s::oid) AS r(%s)',
                                                      heap, columns, columns, m.segment, part::oid, typed));
  SELECT s.rows INTO expected FROM vectorshard.segment s WHERE s.segment = m.segment;
  IF loaded IS DISTINCT FROM expected THEN
    RAISE data_corrupted USING MESSAGE = format('segment "%s" is damaged', m.segment),
      DETAIL = format('Read %s rows, the manifest says %s.', loaded, expected), HINT = 'Restore its object from the backup of the store.';
  END IF;
  -- Proves the bound now, so that attaching need not scan under its lock.
  PERFORM vectorshard.execute_as_owner(part, format('ALTER TABLE %s ADD CONSTRAINT vectorshard_bound CHECK (%s)',
                                                    heap, pg_get_partition_constraintdef(part)));
  PERFORM vectorshard.dress_like(heap::regclass, part);
  UPDATE vectorshard.tier_move t
     SET rows = loaded, detail = t.detail || jsonb_build_object('heap', heap::regclass::oid::bigint, 'fence_xid', pg_current_xact_id()::text::bigint)
   WHERE t.move = move;
END $$;
COMMENT ON FUNCTION vectorshard.load_partition(bigint) IS 'internal: loads a new heap with the rows of a moved partition';

CREATE FUNCTION vectorshard.swap_to_hot(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  heap regclass;
  part regclass;
  parent regclass;
  part_name text;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  heap := (m.detail ->> 'heap')::oid::regclass;
  part := (m.detail ->> 'relid')::oid::regclass;
  parent := (m.detail ->> 'parent')::oid::regclass;
  SELECT c.relname INTO part_name FROM pg_class c WHERE c.oid = part;
  SET LOCAL lock_timeout = '500ms';
  EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
  EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, part);
  EXECUTE format('DROP FOREIGN TABLE %s', part);
  EXECUTE format('ALTER TABLE %s RENAME TO %I', heap, part_name);
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s %s', parent, heap, m.detail ->> 'bound');
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT vectorshard_bound', heap);
END $$;
COMMENT ON FUNCTION vectorshard.swap_to_hot(bigint) IS 'internal: the new heap becomes the partition, the foreign table is dropped';

-- What is left of a move at its end: the detached heap, or the segment.
CREATE FUNCTION vectorshard.finish_partition_move(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  IF m.direction = 'hot' THEN
    UPDATE vectorshard.segment s SET state = 'dead' WHERE s.segment = m.segment AND s.state = 'live';
  ELSIF EXISTS (SELECT FROM pg_class c WHERE c.oid = (m.detail ->> 'relid')::oid AND NOT c.relispartition) THEN
    SET LOCAL lock_timeout = '500ms';
    EXECUTE format('DROP TABLE %s', (m.detail ->> 'relid')::oid::regclass);
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.finish_partition_move(bigint) IS 'internal: drops the copy that is no longer read';

-- Undoes what a move that is given up has made (core/tier/moves.hpp, leftovers); the object is the caller's.
CREATE FUNCTION vectorshard.undo_partition_move(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  heap oid;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  IF m.direction = 'cold' THEN
    PERFORM vectorshard.unfence_partition((m.detail ->> 'relid')::oid);
    UPDATE vectorshard.segment s SET state = 'dead' WHERE s.segment = m.segment AND s.kind = 'partition';
  ELSE
    SELECT c.oid INTO heap FROM pg_class c WHERE c.oid = (m.detail ->> 'heap')::oid AND NOT c.relispartition;
    IF FOUND THEN EXECUTE format('DROP TABLE %s', heap::regclass); END IF;
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.undo_partition_move(bigint) IS 'internal: takes a move back that has not swapped yet';

CREATE FUNCTION vectorshard.segment_rows(segment text, relation oid) RETURNS SETOF record
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 100000 AS 'MODULE_PATHNAME', 'vectorshard_segment_rows';
COMMENT ON FUNCTION vectorshard.segment_rows(text, oid) IS
  'all rows of a segment, in the columns of a relation; for superusers, and while a partition is brought back';

-- Loading a table runs what its owner has put there (checks, generated columns, indexes): never with more rights than his.
CREATE FUNCTION vectorshard.execute_as_owner(relation regclass, statement text) RETURNS bigint
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_execute_as_owner';
COMMENT ON FUNCTION vectorshard.execute_as_owner(regclass, text) IS
  'internal: runs a statement with the rights of the owner of a relation; returns how many rows it touched';

-- Partitions that a policy wants in the store: those whose range ended long enough ago.
CREATE FUNCTION vectorshard.plan_due_partitions() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  p record;
  ends timestamptz;
BEGIN
  FOR p IN SELECT t.move_after, t.store, c.oid::regclass AS part, vectorshard.partition_time_type(i.inhparent) AS key_type,
                  substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([^']*)'\)$re$) AS upper_bound
             FROM vectorshard.tier_policy t
             JOIN pg_inherits i ON i.inhparent = to_regclass(t.table_name)
             JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'
            WHERE t.table_name <> ''
              AND NOT EXISTS (SELECT FROM vectorshard.tier_move m
                               WHERE m.kind = 'partition' AND m.subject = vectorshard.name_of(c.oid)
                                 AND (m.state NOT IN ('done', 'failed') OR m.changed_at > now() - interval '1 hour')) LOOP
    EXECUTE format('SELECT CAST(CAST($1 AS %s) AS timestamptz)', p.key_type) INTO ends USING p.upper_bound;
    CONTINUE WHEN ends IS NULL OR ends > now() - p.move_after;
    BEGIN
      PERFORM vectorshard.move_to_cold(p.part, p.store);
    EXCEPTION WHEN feature_not_supported OR wrong_object_type OR undefined_object THEN
      RAISE LOG 'vectorshard tiering: policy of partition %: %', p.part, SQLERRM;
    END;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.plan_due_partitions() IS 'internal: plans the moves that policies ask for';
