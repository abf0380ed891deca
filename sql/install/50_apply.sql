-- Apply: the version clock, the triggers of enrolled tables, tombstones, merging batches, conflicts.

CREATE FUNCTION vectorshard.next_version() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_next_version';
COMMENT ON FUNCTION vectorshard.next_version() IS 'the next row version of this node';

CREATE FUNCTION vectorshard.wall_ms() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_wall_ms';
COMMENT ON FUNCTION vectorshard.wall_ms() IS
  'internal: milliseconds since 1970 by the clock that versions are made of, which does not follow a jump';
REVOKE ALL ON FUNCTION vectorshard.wall_ms() FROM PUBLIC;

CREATE FUNCTION vectorshard.version_time(version bigint) RETURNS timestamptz
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_version_time';
COMMENT ON FUNCTION vectorshard.version_time(bigint) IS 'when a row version was given, by the clock of the node that gave it';

CREATE FUNCTION vectorshard.row_version() RETURNS trigger
  LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'vectorshard_row_version';
COMMENT ON FUNCTION vectorshard.row_version() IS 'trigger of enrolled tables: fence, row version, tombstones';

CREATE FUNCTION vectorshard.catalog_changed() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_catalog_changed';
COMMENT ON FUNCTION vectorshard.catalog_changed() IS 'internal: makes every backend read the enrolled tables anew';
REVOKE ALL ON FUNCTION vectorshard.catalog_changed() FROM PUBLIC;

CREATE FUNCTION vectorshard.attach_triggers(relation regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
DECLARE
  key_columns text;
BEGIN
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) INTO key_columns
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
   WHERE i.indrelid = relation AND i.indisprimary;
  IF key_columns IS NULL THEN
    RAISE EXCEPTION 'table % has no primary key', relation
      USING ERRCODE = 'invalid_table_definition', HINT = 'Add a primary key that contains the client column.';
  END IF;
  EXECUTE format('CREATE TRIGGER zz_vectorshard_before BEFORE INSERT OR UPDATE OR DELETE ON %s
                    FOR EACH ROW EXECUTE FUNCTION vectorshard.row_version()', relation);
  EXECUTE format('CREATE TRIGGER zz_vectorshard_after AFTER INSERT OR DELETE OR UPDATE OF %s ON %s
                    FOR EACH ROW EXECUTE FUNCTION vectorshard.row_version()', key_columns, relation);
  EXECUTE format('CREATE TRIGGER zz_vectorshard_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.row_version()', relation);
  PERFORM vectorshard.catalog_changed();
END
$$;
COMMENT ON FUNCTION vectorshard.attach_triggers(regclass) IS 'internal: makes the three triggers of an enrolled table';
REVOKE ALL ON FUNCTION vectorshard.attach_triggers(regclass) FROM PUBLIC;

CREATE FUNCTION vectorshard.detach_triggers(relation regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['before', 'after', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER IF EXISTS zz_vectorshard_%s ON %s', name, relation);
  END LOOP;
  PERFORM vectorshard.catalog_changed();
END
$$;
COMMENT ON FUNCTION vectorshard.detach_triggers(regclass) IS 'internal: removes the triggers of an enrolled table';
REVOKE ALL ON FUNCTION vectorshard.detach_triggers(regclass) FROM PUBLIC;

CREATE FUNCTION vectorshard.collect_tombstones() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_collect_tombstones';
COMMENT ON FUNCTION vectorshard.collect_tombstones() IS
  'removes tombstones and beaten writes older than tombstone_retention_s; returns the number of tombstones';
REVOKE ALL ON FUNCTION vectorshard.collect_tombstones() FROM PUBLIC;

-- The extension's own shipped tables carry versions too; motion is a vector-shard table.
SELECT vectorshard.attach_triggers(('vectorshard.' || name)::regclass)
  FROM unnest(ARRAY['node', 'shard_table', 'client', 'wish', 'holder', 'policy', 'store', 'segment', 'erasure', 'node_state', 'price', 'quality', 'motion']) AS name;

CREATE INDEX conflict_row ON vectorshard.conflict (table_name, key, loser);
CREATE INDEX conflict_unresolved ON vectorshard.conflict (at) WHERE resolved IS NULL AND payload IS NOT NULL;

CREATE VIEW vectorshard.conflicts AS
  SELECT conflict, at, kind, table_name, client, key, reason,
         vectorshard.version_time(winner) AS winner_time, (winner & 1023)::int AS winner_node,
         vectorshard.version_time(loser) AS loser_time, (loser & 1023)::int AS loser_node,
         resolved
    FROM vectorshard.conflict;
COMMENT ON VIEW vectorshard.conflicts IS 'beaten writes and rows that could not be merged on this node';
GRANT SELECT ON vectorshard.conflicts TO pg_monitor;

CREATE FUNCTION vectorshard.apply(batch bytea) RETURNS bytea
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_apply';
COMMENT ON FUNCTION vectorshard.apply(bytea) IS 'internal: merges a batch of a peer and answers what became of it';
REVOKE ALL ON FUNCTION vectorshard.apply(bytea) FROM PUBLIC;

CREATE FUNCTION vectorshard.flush_applied(now boolean, OUT written pg_lsn, OUT flushed pg_lsn)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_flush_applied';
COMMENT ON FUNCTION vectorshard.flush_applied(boolean) IS
  'internal: where this node''s WAL ended when it was called, and up to where it is on disk; "now": once it is flushed up to there';
REVOKE ALL ON FUNCTION vectorshard.flush_applied(boolean) FROM PUBLIC;

-- Runs as the owner of the table that is merged into, whoever that is; an error at any other time.
CREATE FUNCTION vectorshard.batch_rows() RETURNS SETOF record
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'vectorshard_batch_rows';
COMMENT ON FUNCTION vectorshard.batch_rows() IS 'the rows that vectorshard.apply() is merging; an error at any other time';

CREATE FUNCTION vectorshard.retry_conflicts() RETURNS int
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_retry_conflicts';
COMMENT ON FUNCTION vectorshard.retry_conflicts() IS
  'merges dead letters whose reason has gone; returns how many were settled';
REVOKE ALL ON FUNCTION vectorshard.retry_conflicts() FROM PUBLIC;

CREATE FUNCTION vectorshard.client_digest(client text) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_client_digest';
COMMENT ON FUNCTION vectorshard.client_digest(text) IS
  'digest over version and content of all rows of a client in this node''s heap; equal on nodes that hold the same';
REVOKE ALL ON FUNCTION vectorshard.client_digest(text) FROM PUBLIC;
