-- Enrolling tables: checks, attaching and detaching, the birth of the clients whose rows are already there.
-- The public functions (create_vector_shard_table, …) are in C (src/pg/fabric/enrol.cpp): they check that the caller
-- owns the table, then run these as the owner of the extension. Definitions of tables: 08_realize.sql.

CREATE OR REPLACE FUNCTION vectorshard.name_of(p_table regclass) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT format('%I.%I', CASE WHEN n.nspname LIKE 'pg\_temp\_%' THEN 'pg_temp' ELSE n.nspname END, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = p_table
$$;
COMMENT ON FUNCTION vectorshard.name_of(regclass) IS 'internal: the name of a table in the fabric';
REVOKE ALL ON FUNCTION vectorshard.name_of(regclass) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.is_attached(p_table regclass) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = p_table AND tgname = 'zz_vectorshard_before')
$$;
COMMENT ON FUNCTION vectorshard.is_attached(regclass) IS 'internal: whether a table is enrolled on this node';
REVOKE ALL ON FUNCTION vectorshard.is_attached(regclass) FROM PUBLIC;

-- One place for the form of every refusal.
CREATE OR REPLACE FUNCTION vectorshard.refuse(p_table regclass, p_state text, p_detail text, p_hint text) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'table % cannot be enrolled', vectorshard.name_of(p_table) USING
    ERRCODE = p_state, DETAIL = p_detail, HINT = p_hint;
END $$;
COMMENT ON FUNCTION vectorshard.refuse(regclass, text, text, text) IS 'internal: the form of every refusal of a table';
REVOKE ALL ON FUNCTION vectorshard.refuse(regclass, text, text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.check_relation(p_table regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  c pg_class;
  schema_name text;
BEGIN
  SELECT * INTO c FROM pg_class WHERE oid = p_table;
  SELECT nspname INTO schema_name FROM pg_namespace WHERE oid = c.relnamespace;
  CASE
    WHEN c.relkind = 'p' THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', 'It is partitioned.',
        'Enrol a plain table; rows are spread by client, not by partition.');
    WHEN c.relkind <> 'r' THEN
      PERFORM vectorshard.refuse(p_table, 'wrong_object_type', 'It is not a table.', 'Enrol the table itself, not a view or foreign table.');
    WHEN c.relispartition THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', 'It is a partition.', 'Detach it, or enrol a plain table.');
    WHEN c.relpersistence = 't' THEN
      PERFORM vectorshard.refuse(p_table, 'wrong_object_type', 'It is temporary.', 'Only permanent tables are shipped.');
    WHEN c.relpersistence = 'u' THEN
      PERFORM vectorshard.refuse(p_table, 'wrong_object_type', 'It is unlogged: its changes are not in the WAL.', 'ALTER TABLE … SET LOGGED.');
    WHEN schema_name IN ('pg_catalog', 'information_schema', 'pg_toast', 'vectorshard') THEN
      PERFORM vectorshard.refuse(p_table, 'insufficient_privilege', format('It is in the system schema %I.', schema_name), 'Enrol tables of your own.');
    WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = p_table) THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', 'It inherits from another table.', 'ALTER TABLE … NO INHERIT.');
    WHEN vectorshard.is_attached(p_table) THEN
      PERFORM vectorshard.refuse(p_table, 'duplicate_object', 'It is enrolled already.', 'Look at vectorshard.shard_table.');
    WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = p_table) THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', 'Other tables inherit from it.', 'ALTER TABLE … NO INHERIT on them.');
    WHEN c.relreplident = 'n' THEN
      PERFORM vectorshard.refuse(p_table, 'object_not_in_prerequisite_state', 'It has no replica identity: its updates could not be decoded.',
        'ALTER TABLE … REPLICA IDENTITY DEFAULT.');
    WHEN length(c.relname) > 53 THEN
      PERFORM vectorshard.refuse(p_table, 'name_too_long', 'Its name is longer than 53 bytes, so NAME_elsewhere does not fit.', 'Rename it.');
    WHEN to_regclass(format('%I.%I', schema_name, c.relname || '_elsewhere')) IS NOT NULL THEN
      PERFORM vectorshard.refuse(p_table, 'duplicate_table', format('Table %I.%I exists.', schema_name, c.relname || '_elsewhere'),
        'Rename it: that name is needed for the rows that are elsewhere.');
    ELSE NULL;
  END CASE;
END $$;
COMMENT ON FUNCTION vectorshard.check_relation(regclass) IS 'internal: refuses relations of the wrong kind';
REVOKE ALL ON FUNCTION vectorshard.check_relation(regclass) FROM PUBLIC;

-- The reason why a key column's text does not tell its value apart the same way everywhere, or null.
CREATE OR REPLACE FUNCTION vectorshard.unstable_key_reason(p_type oid, p_typmod int, p_collation oid) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT CASE
    WHEN EXISTS (SELECT FROM pg_collation WHERE oid = p_collation AND NOT collisdeterministic) THEN 'has a nondeterministic collation'
    WHEN t.typtype = 'e' THEN NULL
    WHEN t.oid IN ('numeric'::regtype, 'bpchar'::regtype) AND p_typmod < 0 THEN format('is %s without a length or scale', format_type(t.oid, NULL))
    WHEN t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
                   'uuid'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'bool'::regtype,
                   'numeric'::regtype, 'oid'::regtype, '"char"'::regtype, 'name'::regtype) THEN NULL
    ELSE format('is of type %s', format_type(t.oid, p_typmod)) END
  FROM pg_type t WHERE t.oid = p_type
$$;
COMMENT ON FUNCTION vectorshard.unstable_key_reason(oid, int, oid) IS 'internal: why the text of a key value may differ between nodes, or null';
REVOKE ALL ON FUNCTION vectorshard.unstable_key_reason(oid, int, oid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.check_key(p_table regclass, p_client name) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  key pg_constraint;
  col record;
  other text;
BEGIN
  SELECT * INTO key FROM pg_constraint WHERE conrelid = p_table AND contype = 'p';
  IF NOT FOUND THEN
    PERFORM vectorshard.refuse(p_table, 'invalid_table_definition', 'It has no primary key.', 'ALTER TABLE … ADD PRIMARY KEY (…).');
  ELSIF key.condeferrable THEN
    PERFORM vectorshard.refuse(p_table, 'invalid_table_definition', format('Its primary key %I is deferrable.', key.conname),
      'Make it NOT DEFERRABLE: ON CONFLICT cannot use a deferrable key.');
  END IF;
  IF p_client IS NOT NULL THEN
    SELECT a.attnum, a.atttypid, format_type(a.atttypid, a.atttypmod) AS type INTO col FROM pg_attribute a
      WHERE a.attrelid = p_table AND a.attname = p_client AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
      PERFORM vectorshard.refuse(p_table, 'undefined_column', format('Column %I does not exist.', p_client), 'Name the column that tells whose row it is.');
    ELSIF col.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN
      PERFORM vectorshard.refuse(p_table, 'datatype_mismatch', format('The client column %I is of type %s.', p_client, col.type),
        'It must be text, varchar, uuid or an integer.');
    ELSIF NOT col.attnum = ANY (key.conkey) THEN
      PERFORM vectorshard.refuse(p_table, 'invalid_table_definition', format('Its primary key does not contain the client column %I.', p_client),
        format('Make it PRIMARY KEY (%I, …): a key is unique within its client.', p_client));
    END IF;
  END IF;
  FOR col IN SELECT a.attname, vectorshard.unstable_key_reason(
                    CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END,
                    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attcollation) AS reason
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = p_table AND a.attnum = ANY (key.conkey) ORDER BY a.attnum LOOP
    IF col.reason IS NOT NULL THEN
      PERFORM vectorshard.refuse(p_table, 'datatype_mismatch', format('Key column %I %s: equal keys may differ in their text.', col.attname, col.reason),
        'Use integers, text, uuid, date, timestamp, boolean, numeric(p,s) or an enum in the key.');
    END IF;
  END LOOP;
  SELECT string_agg(format('%s', i.indexrelid::regclass), ', ' ORDER BY i.indexrelid::regclass::text) INTO other
    FROM pg_index i WHERE i.indrelid = p_table AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary;
  IF other IS NOT NULL THEN
    PERFORM vectorshard.refuse(p_table, 'feature_not_supported', format('Besides its primary key it has unique or exclusion constraints: %s.', other),
      'Drop them: rows written at two nodes could break them when they meet.');
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.check_key(regclass, name) IS 'internal: refuses tables whose keys cannot be merged';
REVOKE ALL ON FUNCTION vectorshard.check_key(regclass, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.check_foreign_keys(p_table regclass, p_client name) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  fk record;
BEGIN
  FOR fk IN
    SELECT k.conname, k.conrelid, k.confrelid, s.kind, own.attnum AS client, k.conkey, k.confkey,
           CASE WHEN k.confrelid = p_table THEN own.attnum ELSE far.attnum END AS far_client
      FROM pg_constraint k
      LEFT JOIN vectorshard.shard_table s ON s.table_name = vectorshard.name_of(k.confrelid) AND s.state = 'enrolled'
      LEFT JOIN pg_attribute own ON own.attrelid = p_table AND own.attname = p_client
      LEFT JOIN pg_attribute far ON far.attrelid = k.confrelid AND far.attname = s.client_column
     WHERE k.contype = 'f' AND (k.conrelid = p_table OR k.confrelid = p_table) ORDER BY k.conname LOOP
    IF fk.conrelid <> p_table THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', format('Foreign key %I of table %s points to it.', fk.conname, vectorshard.name_of(fk.conrelid)),
        'Drop that constraint, enrol both tables, this one first, then add it again.');
    ELSIF p_client IS NULL AND fk.confrelid <> p_table AND fk.kind IS DISTINCT FROM 'reference' THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', format('Foreign key %I points to %s, which is not a reference table.', fk.conname, vectorshard.name_of(fk.confrelid)),
        'Enrol that table with create_reference_table() first, or drop the constraint.');
    ELSIF p_client IS NOT NULL AND fk.confrelid <> p_table AND fk.kind IS DISTINCT FROM 'vector_shard' THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', format('Foreign key %I points to %s, which is not a vector-shard table.', fk.conname, vectorshard.name_of(fk.confrelid)),
        'Enrol that table with create_vector_shard_table() first, or drop the constraint: it would leave the client.');
    ELSIF p_client IS NOT NULL AND NOT EXISTS (SELECT FROM generate_subscripts(fk.conkey, 1) i
                                                WHERE fk.conkey[i] = fk.client AND fk.confkey[i] = fk.far_client) THEN
      PERFORM vectorshard.refuse(p_table, 'feature_not_supported', format('Foreign key %I does not match the client columns, so it may leave the client.', fk.conname),
        format('Make it FOREIGN KEY (%I, …) REFERENCES %s (client column, …).', p_client, vectorshard.name_of(fk.confrelid)));
    END IF;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.check_foreign_keys(regclass, name) IS 'internal: refuses foreign keys that leave the client';
REVOKE ALL ON FUNCTION vectorshard.check_foreign_keys(regclass, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.warn_of_sequences(p_table regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  col name;
BEGIN
  FOR col IN SELECT a.attname FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped
                AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%') ORDER BY a.attnum LOOP
    RAISE WARNING 'column % of table % takes its values from a sequence', quote_ident(col), vectorshard.name_of(p_table) USING
      DETAIL = 'Each node counts for itself, so two nodes give the same number.',
      HINT = 'Use DEFAULT vectorshard.next_id() instead.';
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.warn_of_sequences(regclass) IS 'internal: warns of columns that count for each node alone';
REVOKE ALL ON FUNCTION vectorshard.warn_of_sequences(regclass) FROM PUBLIC;

CREATE FUNCTION vectorshard.lock_table(p_table regclass) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_lock_table';
COMMENT ON FUNCTION vectorshard.lock_table(regclass) IS 'internal: locks a table against everybody, by its number; raises if it is gone, or under a snapshot from before';
REVOKE ALL ON FUNCTION vectorshard.lock_table(regclass) FROM PUBLIC;

-- The foreign child that stands for the rows which are not in this heap. It goes with its table (pg_depend 'a'), and
-- nobody reads it but through the table.
CREATE OR REPLACE FUNCTION vectorshard.attach_elsewhere(p_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  c record;
  child text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_foreign_server WHERE srvname = 'fabric') THEN RETURN; END IF;
  SELECT n.nspname, r.relname, pg_get_userbyid(r.relowner) AS owner INTO c
    FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = p_table;
  child := format('%I.%I', c.nspname, c.relname || '_elsewhere');
  EXECUTE format('CREATE FOREIGN TABLE %s () INHERITS (%s) SERVER fabric', child, p_table);
  EXECUTE format('COMMENT ON FOREIGN TABLE %s IS %L', child, 'vectorshard: the rows of ' || vectorshard.name_of(p_table) || ' that are on other nodes or in a store');
  EXECUTE format('ALTER FOREIGN TABLE %s OWNER TO %I', child, c.owner);
  EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, %I', child, c.owner);
  UPDATE pg_depend SET deptype = 'a'
    WHERE classid = 'pg_class'::regclass AND objid = child::regclass AND objsubid = 0
      AND refclassid = 'pg_class'::regclass AND refobjid = p_table AND refobjsubid = 0 AND deptype = 'n';
END $$;
COMMENT ON FUNCTION vectorshard.attach_elsewhere(regclass) IS 'internal: makes the foreign child of a vector-shard table';
REVOKE ALL ON FUNCTION vectorshard.attach_elsewhere(regclass) FROM PUBLIC;

-- Makes a table part of the fabric on this node. Rows that are there get one version, all the same: a version orders
-- the writes of one key, so equal versions of different keys do no harm, and no row is rewritten.
CREATE OR REPLACE FUNCTION vectorshard.attach_table(p_table regclass, p_kind text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = '_version' AND NOT attisdropped) THEN
    EXECUTE format('ALTER TABLE %s ADD COLUMN _version bigint NOT NULL DEFAULT %s', p_table, vectorshard.next_version());
    EXECUTE format('ALTER TABLE %s ALTER COLUMN _version DROP DEFAULT', p_table);
    EXECUTE format('COMMENT ON COLUMN %s._version IS %L', p_table, 'vectorshard: orders all writes of this row; set by trigger');
  END IF;
  PERFORM vectorshard.attach_triggers(p_table);
  EXECUTE format('ALTER PUBLICATION vectorshard ADD TABLE ONLY %s', p_table);
  IF p_kind = 'vector_shard' THEN PERFORM vectorshard.attach_elsewhere(p_table); END IF;
  -- The table itself needs no grant (src/pg/read/peer_rights.hpp), but its name is looked up.
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO vectorshard_peer', (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = p_table));
  PERFORM vectorshard.bump_catalog_epoch();
END $$;
COMMENT ON FUNCTION vectorshard.attach_table(regclass, text) IS 'internal: version column, triggers, publication, foreign child';
REVOKE ALL ON FUNCTION vectorshard.attach_table(regclass, text) FROM PUBLIC;

-- SELECT * of a view that was made while the table was enrolled has _version among its columns for good, and PostgreSQL's own hint, CASCADE, has no place to be written.
CREATE OR REPLACE FUNCTION vectorshard.check_version_unused(p_table regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  users text;
BEGIN
  SELECT string_agg(u.name, ', ' ORDER BY u.name) INTO users
    FROM (SELECT DISTINCT coalesce((SELECT format(CASE c.relkind WHEN 'm' THEN 'materialized view %s' WHEN 'v' THEN 'view %s' ELSE 'a rule of %s' END, vectorshard.name_of(r.ev_class))
                                      FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid),
                                   pg_describe_object(d.classid, d.objid, d.objsubid)) AS name
            FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
           WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND a.attname = '_version' AND d.deptype = 'n') u;
  IF users IS NOT NULL THEN
    RAISE EXCEPTION 'column _version of table % is in use', vectorshard.name_of(p_table) USING
      ERRCODE = 'dependent_objects_still_exist', DETAIL = format('It goes when the table leaves the fabric, but is used by: %s.', users),
      HINT = 'Drop these; afterwards make them again. A view over an enrolled table that names its columns, instead of SELECT *, is not in the way.';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.check_version_unused(regclass) IS 'internal: raises if dropping _version would need CASCADE, and names what is in the way';
REVOKE ALL ON FUNCTION vectorshard.check_version_unused(regclass) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.detach_table(p_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  child regclass;
BEGIN
  PERFORM vectorshard.detach_triggers(p_table);
  SELECT i.inhrelid INTO child FROM pg_inherits i JOIN pg_foreign_table f ON f.ftrelid = i.inhrelid
    JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE i.inhparent = p_table AND s.srvname = 'fabric';
  IF child IS NOT NULL THEN EXECUTE format('DROP FOREIGN TABLE %s', child); END IF;
  EXECUTE format('ALTER PUBLICATION vectorshard DROP TABLE ONLY %s', p_table);
  PERFORM vectorshard.check_version_unused(p_table);
  EXECUTE format('ALTER TABLE %s DROP COLUMN _version', p_table);
  DELETE FROM vectorshard.tombstone WHERE table_name = vectorshard.name_of(p_table);
  DELETE FROM vectorshard.peer_debt WHERE client = '' AND table_name = vectorshard.name_of(p_table);
  PERFORM vectorshard.bump_catalog_epoch();
END $$;
COMMENT ON FUNCTION vectorshard.detach_table(regclass) IS 'internal: undoes attach_table';
REVOKE ALL ON FUNCTION vectorshard.detach_table(regclass) FROM PUBLIC;

-- Rows that were there before: their clients are born here, the node becomes their home, and whoever else holds them
-- is owed their new rows.
CREATE OR REPLACE FUNCTION vectorshard.adopt_clients(p_table regclass, p_client name) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  here int := vectorshard.self_node();
  stamp bigint := vectorshard.next_version();
  found text[];
  stranger text;
BEGIN
  EXECUTE format('SELECT array_agg(DISTINCT %I::text) FROM ONLY %s', p_client, p_table) INTO found;
  IF found IS NULL THEN RETURN; END IF;
  IF '' = ANY (found) THEN
    PERFORM vectorshard.refuse(p_table, 'check_violation', 'It has rows whose client is the empty text.', 'Delete them, or give them a client.');
  END IF;
  SELECT c.client INTO stranger FROM vectorshard.client c
    WHERE c.client = ANY (found) AND NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = c.client AND NOT r.leaving) LIMIT 1;
  IF stranger IS NOT NULL THEN
    PERFORM vectorshard.refuse(p_table, 'object_not_in_prerequisite_state', format('It has rows of client %L, which is not resident on this node.', stranger),
      format('SELECT vectorshard.place(%L, …) onto this node first, or enrol the table empty and insert afterwards.', stranger));
  END IF;
  IF (SELECT kind FROM vectorshard.node WHERE node = here) <> 'core'
     AND EXISTS (SELECT FROM unnest(found) f WHERE NOT EXISTS (SELECT FROM vectorshard.client c WHERE c.client = f)) THEN
    PERFORM vectorshard.refuse(p_table, 'object_not_in_prerequisite_state', 'It has rows of new clients, and this node is an edge node.',
      'Enrol it on a core node, which becomes their home, or enrol it empty and insert afterwards.');
  END IF;
  WITH born AS (INSERT INTO vectorshard.client (client, home, epoch, _version)
                SELECT f, here, 1, stamp FROM unnest(found) f ON CONFLICT (client) DO NOTHING RETURNING client),
       there AS (INSERT INTO vectorshard.resident (client, generation) SELECT client, stamp FROM born RETURNING client)
  INSERT INTO vectorshard.holder (client, node, generation, state, _version) SELECT client, here, stamp, 'live', stamp FROM there;
  INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
    SELECT DISTINCT p, f, '' FROM unnest(found) f
      CROSS JOIN LATERAL (SELECT h.node FROM vectorshard.holder h WHERE h.client = f AND h.state <> 'gone'
                          UNION SELECT c.home FROM vectorshard.client c WHERE c.client = f) AS t(p)
     WHERE p <> here
    ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error;
END $$;
COMMENT ON FUNCTION vectorshard.adopt_clients(regclass, name) IS 'internal: the clients of rows that a table had before it was enrolled';
REVOKE ALL ON FUNCTION vectorshard.adopt_clients(regclass, name) FROM PUBLIC;

-- Rows of a table with consistency home count at their client's home alone: elsewhere they would be hidden until that has them.
CREATE OR REPLACE FUNCTION vectorshard.require_homes(p_table regclass, p_client name) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  stranger text;
BEGIN
  EXECUTE format('SELECT c.client FROM vectorshard.client c JOIN (SELECT DISTINCT %I::text FROM ONLY %s) AS t (client) USING (client) WHERE c.home <> vectorshard.self_node() LIMIT 1',
                 p_client, p_table) INTO stranger;
  IF stranger IS NOT NULL THEN
    PERFORM vectorshard.refuse(p_table, 'object_not_in_prerequisite_state', format('It has rows of client %L, whose home is another node.', stranger),
      'Move that home here with vectorshard.move_home() first, or enrol the table empty and insert afterwards.');
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.require_homes(regclass, name) IS 'internal: refuses rows of clients whose home is another node';
REVOKE ALL ON FUNCTION vectorshard.require_homes(regclass, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.enrol(p_table regclass, p_kind text, p_client name, p_consistency text DEFAULT 'eventual') RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  stamp bigint;
BEGIN
  PERFORM vectorshard.require_member();
  -- First of what is no table of users, which nobody shall lock; then of what an ALTER TABLE that was under way has left.
  PERFORM vectorshard.check_relation(p_table);
  -- Not beside run_on_all_nodes(): what that alters is told apart by what was enrolled before.
  PERFORM pg_advisory_xact_lock(hashtextextended('vectorshard.run_on_all_nodes', 0));
  PERFORM vectorshard.lock_table(p_table);
  PERFORM vectorshard.check_relation(p_table);
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = '_version' AND NOT attisdropped) THEN
    PERFORM vectorshard.refuse(p_table, 'duplicate_column', 'It has a column _version.', 'Rename that column: the name is needed for row versions.');
  END IF;
  PERFORM vectorshard.check_key(p_table, p_client);
  PERFORM vectorshard.check_foreign_keys(p_table, p_client);
  PERFORM vectorshard.check_merging_columns(p_table);
  PERFORM vectorshard.warn_of_sequences(p_table);
  PERFORM vectorshard.give_births(p_table);
  PERFORM vectorshard.attach_table(p_table, p_kind);
  stamp := vectorshard.next_version();
  INSERT INTO vectorshard.shard_table (table_name, kind, client_column, definition, state, consistency, _version)
    VALUES (vectorshard.name_of(p_table), p_kind, p_client, vectorshard.table_definition(p_table), 'enrolled', p_consistency, stamp)
    ON CONFLICT (table_name) DO UPDATE SET kind = excluded.kind, client_column = excluded.client_column,
      definition = excluded.definition, state = excluded.state, consistency = excluded.consistency, _version = excluded._version;
  IF p_kind = 'vector_shard' THEN
    PERFORM vectorshard.adopt_clients(p_table, p_client);
    IF p_consistency = 'home' THEN PERFORM vectorshard.require_homes(p_table, p_client); END IF;
  ELSE
    INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
      SELECT n.node, '', vectorshard.name_of(p_table) FROM vectorshard.node n
       WHERE n.state <> 'removed' AND n.node <> vectorshard.self_node()
      ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error;
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.enrol(regclass, text, name, text) IS 'internal: checks a table and makes it part of the fabric';
REVOKE ALL ON FUNCTION vectorshard.enrol(regclass, text, name, text) FROM PUBLIC;
