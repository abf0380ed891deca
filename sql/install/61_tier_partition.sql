-- Tier, second half: moves of partitions (src/pg/tier/partition_move.cpp): planned, fenced, settled, exported, verified, registered,
-- swapped, grace, done; back: planned, loaded, swapped, grace, done. Each function below is the SQL of one step and
-- runs in the transaction that writes the next state. A partition becomes a stub (62_tier_stub.sql).

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
  found text;
  refused text := format('cannot move "%s" to a store', partition);
BEGIN
  SELECT t.* INTO c FROM pg_class t WHERE t.oid = partition;
  IF vectorshard.is_stub(partition) THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = refused, DETAIL = 'Its rows lie in a store.',
      HINT = 'Nothing is to be done; vectorshard.move_to_hot() brings it back.';
  ELSIF c.relkind = 'p' AND c.relispartition THEN
    SELECT string_agg(t.relid::text, ', ' ORDER BY t.relid::text) INTO found FROM pg_partition_tree(partition) t WHERE t.isleaf;
    RAISE wrong_object_type USING MESSAGE = refused, DETAIL = 'It is partitioned itself and holds no rows.',
      HINT = coalesce(format('Move the partitions that hold its rows: %s.', found), 'It has no partitions.');
  ELSIF c.relkind <> 'r' OR NOT c.relispartition THEN
    RAISE wrong_object_type USING MESSAGE = refused, DETAIL = 'It is not a partition that holds rows itself.',
      HINT = 'Give a partition of a partitioned table.';
  ELSIF c.relpersistence <> 'p' THEN
    RAISE wrong_object_type USING MESSAGE = refused, DETAIL = format('It is %s.', CASE c.relpersistence WHEN 't' THEN 'temporary' ELSE 'unlogged' END),
      HINT = 'Give a permanent partition.';
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
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.oid = partition
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
  'moves a partition to a store once the transaction has committed; the heap is dropped when grace has passed. Returns the number of the move in tier_moves';
REVOKE ALL ON FUNCTION vectorshard.move_to_cold(regclass, text, interval) FROM PUBLIC;

CREATE FUNCTION vectorshard.move_to_hot(partition regclass, grace interval DEFAULT '1 day') RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  s vectorshard.segment;
BEGIN
  SELECT g.* INTO s FROM vectorshard.segment g WHERE g.kind = 'partition' AND g.segment = vectorshard.stub_segment(partition);
  IF NOT FOUND THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" is not in a store', partition),
      HINT = 'Give a partition that vectorshard.move_to_cold() has moved.';
  END IF;
  RETURN vectorshard.plan_partition_move(partition, 'hot', s.store, s.segment, grace);
END $$;
COMMENT ON FUNCTION vectorshard.move_to_hot(regclass, interval) IS
  'brings a partition back from its store once the transaction has committed; the segment is kept until grace has passed. Returns the number of the move in tier_moves';
REVOKE ALL ON FUNCTION vectorshard.move_to_hot(regclass, interval) FROM PUBLIC;

-- What a partition's heap is, as far as it may not change between export and swap.
CREATE FUNCTION vectorshard.heap_mark(relation regclass) RETURNS text
  LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT format('file %s, %sfence %s, columns %s', pg_relation_filenode(relation),
                -- No later mark is equal to one of a heap that was written.
                (SELECT max(format('written by transaction %s as seen at %s, ', w.xid, clock_timestamp())) FROM vectorshard.tier_write w
                   JOIN vectorshard.tier_move m ON m.move = w.move AND m.state NOT IN ('done', 'failed') WHERE w.relid = relation),
                (SELECT string_agg(t.oid || t.tgenabled::text, ' ' ORDER BY t.oid) FROM pg_trigger t
                  WHERE t.tgrelid = relation AND t.tgname LIKE 'zz\_vectorshard\_moving%'),
                (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                   FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped))
$$;
COMMENT ON FUNCTION vectorshard.heap_mark(regclass) IS
  'internal: file, fence and columns of a partition that is being moved, as text to compare';

CREATE FUNCTION vectorshard.swap_to_cold(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  heap regclass;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  heap := (m.detail ->> 'relid')::oid::regclass;
  SET LOCAL lock_timeout = '500ms';
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', heap);
  IF vectorshard.heap_mark(heap) <> m.detail ->> 'mark' THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" changed while it was moved', heap),
      DETAIL = format('It was: %s. It is: %s.', m.detail ->> 'mark', vectorshard.heap_mark(heap));
  END IF;
  PERFORM vectorshard.close_fence(heap);
  PERFORM vectorshard.swap_to_stub(m, heap, (SELECT left(c.relname, 40) || '_moved_' || move FROM pg_class c WHERE c.oid = heap));
END $$;
COMMENT ON FUNCTION vectorshard.swap_to_cold(bigint) IS 'internal: from now on the rows of a partition come from its segment; its heap is kept beside it';

CREATE FUNCTION vectorshard.load_partition(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  PERFORM vectorshard.load_from_stub(m, (m.detail ->> 'relid')::oid::regclass);
END $$;
COMMENT ON FUNCTION vectorshard.load_partition(bigint) IS 'internal: loads a new heap with the rows of a moved partition';

CREATE FUNCTION vectorshard.swap_to_hot(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  SET LOCAL lock_timeout = '500ms';
  PERFORM vectorshard.swap_from_stub(m, (m.detail ->> 'relid')::oid::regclass);
END $$;
COMMENT ON FUNCTION vectorshard.swap_to_hot(bigint) IS 'internal: from now on the rows of a partition come from its new heap';

-- What is left of a move at its end: the detached heap, or the segment.
CREATE FUNCTION vectorshard.finish_partition_move(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  m vectorshard.tier_move;
  kept oid;
BEGIN
  SELECT t.* INTO m FROM vectorshard.tier_move t WHERE t.move = move;
  kept := (m.detail ->> 'kept')::oid;
  IF m.direction = 'hot' THEN
    UPDATE vectorshard.segment s SET state = 'dead' WHERE s.segment = m.segment AND s.state = 'live';
  ELSIF EXISTS (SELECT FROM pg_class c WHERE c.oid = kept AND NOT c.relispartition) AND NOT vectorshard.is_stub(kept) THEN
    SET LOCAL lock_timeout = '500ms';
    EXECUTE format('DROP TABLE %s', kept::regclass);
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
  'all rows of a segment, in the columns of a relation; for superusers';
