-- Tier, third part: stubs. A partition stays attached while its rows lie in a segment: its access method
-- is vectorshard_cold (src/pg/tier/stub_*.cpp), its indexes are empty and no plan uses them. The steps of 61_tier_partition.sql call these.

CREATE TABLE vectorshard.cold_partition (
  relid   oid PRIMARY KEY,
  segment text NOT NULL
);
COMMENT ON TABLE vectorshard.cold_partition IS
  'stubs of this node: partitions that stay attached while their rows lie in a segment';

CREATE FUNCTION vectorshard.cold_handler(internal) RETURNS table_am_handler
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_cold_handler';
COMMENT ON FUNCTION vectorshard.cold_handler(internal) IS 'internal: handler of the access method vectorshard_cold';

CREATE ACCESS METHOD vectorshard_cold TYPE TABLE HANDLER vectorshard.cold_handler;
COMMENT ON ACCESS METHOD vectorshard_cold IS 'partitions whose rows lie in a store; vectorshard.move_to_cold() makes them';

CREATE FUNCTION vectorshard.is_stub(relation oid) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = relation AND a.amname = 'vectorshard_cold')
$$;
COMMENT ON FUNCTION vectorshard.is_stub(oid) IS 'internal: true of a partition that stays attached while its rows lie in a segment';

CREATE FUNCTION vectorshard.stub_segment(relation oid) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT p.segment FROM vectorshard.cold_partition p WHERE p.relid = relation AND vectorshard.is_stub(relation)
$$;
COMMENT ON FUNCTION vectorshard.stub_segment(oid) IS 'internal: the segment that has the rows of a stub';

CREATE FUNCTION vectorshard.make_stub(partition oid, kept_name text, rows bigint) RETURNS oid
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_make_stub';
COMMENT ON FUNCTION vectorshard.make_stub(oid, text, bigint) IS
  'internal: gives a partition an empty file of vectorshard_cold and empty indexes; its heap becomes the table that is returned';

CREATE FUNCTION vectorshard.load_stub(partition oid, segment text, name text, OUT heap oid, OUT rows bigint, OUT indexes oid[], OUT clones oid[])
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_load_stub';
COMMENT ON FUNCTION vectorshard.load_stub(oid, text, text) IS
  'internal: loads a new heap, of that name, with the rows of a segment in the columns of a stub, and makes indexes like those of the stub';

CREATE FUNCTION vectorshard.end_stub(partition oid, heap oid, indexes oid[], clones oid[], rows bigint) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_end_stub';
COMMENT ON FUNCTION vectorshard.end_stub(oid, oid, oid[], oid[], bigint) IS
  'internal: a stub takes over a loaded heap and its indexes, the empty ones are dropped';

CREATE FUNCTION vectorshard.swap_to_stub(m vectorshard.tier_move, heap regclass, kept_name text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  kept oid;
BEGIN
  -- The access method refuses writes from here on.
  PERFORM vectorshard.unfence_partition(heap);
  kept := vectorshard.make_stub(heap, kept_name, m.rows);
  INSERT INTO vectorshard.cold_partition (relid, segment) VALUES (heap, m.segment)
    ON CONFLICT (relid) DO UPDATE SET segment = excluded.segment;
  UPDATE vectorshard.tier_move t SET detail = t.detail || jsonb_build_object('kept', kept::bigint) WHERE t.move = m.move;
END $$;
COMMENT ON FUNCTION vectorshard.swap_to_stub(vectorshard.tier_move, regclass, text) IS
  'internal: the partition stays attached, its rows come from the segment; its heap is a table of its own';

CREATE FUNCTION vectorshard.load_from_stub(m vectorshard.tier_move, part regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  loaded record;
  expected bigint := (SELECT s.rows FROM vectorshard.segment s WHERE s.segment = m.segment);
BEGIN
  SELECT l.* INTO loaded
    FROM vectorshard.load_stub(part, m.segment, (SELECT left(c.relname, 40) || '_hot_' || m.move FROM pg_class c WHERE c.oid = part)) l;
  IF loaded.rows IS DISTINCT FROM expected THEN
    RAISE data_corrupted USING MESSAGE = format('segment "%s" is damaged', m.segment),
      DETAIL = format('Read %s rows, the manifest says %s.', loaded.rows, expected), HINT = 'Restore its object from the backup of the store.';
  END IF;
  UPDATE vectorshard.tier_move t
     SET rows = loaded.rows, detail = t.detail || jsonb_build_object('heap', loaded.heap::bigint, 'indexes', loaded.indexes::bigint[],
           'clones', loaded.clones::bigint[], 'fence_xid', pg_current_xact_id()::text::bigint)
   WHERE t.move = m.move;
END $$;
COMMENT ON FUNCTION vectorshard.load_from_stub(vectorshard.tier_move, regclass) IS 'internal: loads a new heap, with indexes, beside a stub';

CREATE FUNCTION vectorshard.swap_from_stub(m vectorshard.tier_move, part regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', part);
  PERFORM vectorshard.end_stub(part, (m.detail ->> 'heap')::oid, ARRAY(SELECT jsonb_array_elements_text(m.detail -> 'indexes')::oid),
                               ARRAY(SELECT jsonb_array_elements_text(m.detail -> 'clones')::oid), m.rows);
  DELETE FROM vectorshard.cold_partition p WHERE p.relid = part;
END $$;
COMMENT ON FUNCTION vectorshard.swap_from_stub(vectorshard.tier_move, regclass) IS 'internal: a stub takes over the heap that was loaded';
