-- Tier: what becomes of writes to a partition that is being moved: refused, or (vectorshard.tier_late_writes = abort) let through, and the move is given
-- up. Between the fence and the swap the heap is the truth, so a write is never lost; the swap takes a lock that waits for every
-- writer, and then looks whether one has written.

CREATE TABLE vectorshard.tier_write (
  move   bigint NOT NULL,
  relid  oid NOT NULL,
  xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX tier_write_move ON vectorshard.tier_write (move);
COMMENT ON TABLE vectorshard.tier_write IS 'transactions that wrote to a partition while it was moved, which gives the move up; a row is there as soon as what was written is';

CREATE FUNCTION vectorshard.refuse_moving() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RAISE object_in_use USING MESSAGE = format('partition "%s.%s" is being moved to a store', TG_TABLE_SCHEMA, TG_TABLE_NAME),
    DETAIL = 'Its rows cannot be changed meanwhile.',
    HINT = 'Wait until the move has ended (vectorshard.tier_moves); vectorshard.move_to_hot() makes it writable again.';
END $$;
COMMENT ON FUNCTION vectorshard.refuse_moving() IS 'trigger of a partition that is being moved: refuses writes';

CREATE FUNCTION vectorshard.note_late_write() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  -- Once a transaction; what a savepoint takes back is noted anew.
  IF NOT EXISTS (SELECT FROM vectorshard.tier_write w WHERE w.move = TG_ARGV[0]::bigint AND w.xid = pg_current_xact_id()) THEN
    INSERT INTO vectorshard.tier_write (move, relid) VALUES (TG_ARGV[0]::bigint, TG_RELID);
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION vectorshard.note_late_write() IS 'internal: trigger of a partition that is being moved: lets writes through, and notes that the move is to be given up';

-- Both triggers, for rows and for TRUNCATE; the caller holds the lock, or bears waiting for it.
CREATE FUNCTION vectorshard.set_fence(relation regclass, trigger_call text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER zz_vectorshard_moving BEFORE INSERT OR UPDATE OR DELETE ON %s
                    FOR EACH ROW EXECUTE FUNCTION vectorshard.%s', relation, trigger_call);
  EXECUTE format('CREATE TRIGGER zz_vectorshard_moving_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.%s', relation, trigger_call);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zz_vectorshard_moving,
                                 ENABLE ALWAYS TRIGGER zz_vectorshard_moving_truncate', relation);
END $$;
COMMENT ON FUNCTION vectorshard.set_fence(regclass, text) IS 'internal: makes the triggers by which a partition that is moved refuses or notes writes';

CREATE FUNCTION vectorshard.fence_partition(move bigint) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  part regclass := (SELECT (m.detail ->> 'relid')::oid::regclass FROM vectorshard.tier_move m WHERE m.move = move);
BEGIN
  PERFORM vectorshard.check_movable(part);
  -- Waits for open transactions that wrote here, and holds up new ones meanwhile: not for long at a time.
  SET LOCAL lock_timeout = '500ms';
  PERFORM vectorshard.set_fence(part, CASE current_setting('vectorshard.tier_late_writes') WHEN 'abort' THEN format('note_late_write(%L)', move) ELSE 'refuse_moving()' END);
  UPDATE vectorshard.tier_move m
     SET detail = m.detail || jsonb_build_object('fence_xid', pg_current_xact_id()::text::bigint)
   WHERE m.move = move;
END $$;
COMMENT ON FUNCTION vectorshard.fence_partition(bigint) IS 'internal: from now on, writes to the partition are refused, or give the move up';

CREATE FUNCTION vectorshard.unfence_partition(relation regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE oid = relation) THEN RETURN; END IF;
  SET LOCAL lock_timeout = '500ms';
  EXECUTE format('DROP TRIGGER IF EXISTS zz_vectorshard_moving ON %s', relation);
  EXECUTE format('DROP TRIGGER IF EXISTS zz_vectorshard_moving_truncate ON %s', relation);
END $$;
COMMENT ON FUNCTION vectorshard.unfence_partition(regclass) IS 'internal: lets writes to a partition through again';

-- The heap is about to stop being the truth: nothing may be written there any more, whatever snapshot a writer has.
CREATE FUNCTION vectorshard.close_fence(relation regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgfoid = 'vectorshard.note_late_write()'::regprocedure) THEN
    PERFORM vectorshard.unfence_partition(relation), vectorshard.set_fence(relation, 'refuse_moving()');
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.close_fence(regclass) IS 'internal: from now on, writes to a heap that is swapped out are refused in any case';
