-- Tier, what keeps it safe: looking whether the objects of the manifest are there and as they were written, and forgetting clients
-- for good. Objects are removed by the tiering worker (src/pg/tier/erase.cpp).

-- A move has the keys of its objects on record before it puts them.
CREATE FUNCTION vectorshard.note_objects() RETURNS trigger
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  INSERT INTO vectorshard.made_object (store, object_key) SELECT NEW.store, o FROM jsonb_array_elements_text(NEW.detail -> 'objects') o
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION vectorshard.note_objects() IS 'internal: keeps on record which objects this node makes';
REVOKE ALL ON FUNCTION vectorshard.note_objects() FROM PUBLIC;
CREATE TRIGGER note_objects AFTER INSERT OR UPDATE OF detail ON vectorshard.tier_move
  FOR EACH ROW WHEN (jsonb_typeof(NEW.detail -> 'objects') = 'array') EXECUTE FUNCTION vectorshard.note_objects();

-- What was made in a store that is dropped stays there, and nothing here knows of it any more.
CREATE FUNCTION vectorshard.forget_store() RETURNS trigger
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  DELETE FROM vectorshard.made_object o WHERE o.store = OLD.store;
  DELETE FROM vectorshard.segment_client c WHERE NOT EXISTS (SELECT FROM vectorshard.segment s WHERE s.segment = c.segment AND s.store <> OLD.store);
  RETURN NULL;
END $$;
COMMENT ON FUNCTION vectorshard.forget_store() IS 'internal: forgets the objects of a store that is dropped';
REVOKE ALL ON FUNCTION vectorshard.forget_store() FROM PUBLIC;
CREATE TRIGGER forget_store AFTER DELETE ON vectorshard.store FOR EACH ROW EXECUTE FUNCTION vectorshard.forget_store();
ALTER TABLE vectorshard.store ENABLE ALWAYS TRIGGER forget_store;  -- other nodes' drops come by apply, in role replica

CREATE FUNCTION vectorshard.verify_store(store text DEFAULT NULL, deep boolean DEFAULT false, OUT store_name text, OUT segment text, OUT object_key text,
                                         OUT key_id text, OUT ok boolean, OUT problem text) RETURNS SETOF record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_verify_store';
COMMENT ON FUNCTION vectorshard.verify_store(text, boolean) IS
  'looks whether the objects of this node''s segments are in their stores and as long as they should be; deep: reads them, and compares bytes and rows with the manifest. Tells objects that no segment names, too';
REVOKE ALL ON FUNCTION vectorshard.verify_store(text, boolean) FROM PUBLIC;

CREATE TRIGGER wake_tiering AFTER INSERT OR UPDATE ON vectorshard.erasure
  FOR EACH ROW WHEN (NEW.done_at IS NULL) EXECUTE FUNCTION vectorshard.wake_tiering();
ALTER TABLE vectorshard.erasure ENABLE ALWAYS TRIGGER wake_tiering;  -- requests of other nodes come by apply, in role replica

CREATE FUNCTION vectorshard.rows_of(client text, relation regclass, client_column text) RETURNS text
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  type regtype;
  same boolean;
BEGIN
  SELECT a.atttypid INTO type FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = client_column;
  BEGIN
    EXECUTE format('SELECT $1::%s::text = $1', type) INTO same USING client;
  EXCEPTION WHEN data_exception THEN
    same := false;  -- a table whose clients are numbers holds none of that name
  END;
  RETURN CASE WHEN same THEN format('FROM ONLY %s WHERE %I = %L::%s', relation, client_column, client, type) END;
END $$;
COMMENT ON FUNCTION vectorshard.rows_of(text, regclass, text) IS 'internal: FROM and WHERE of the rows of a client in the heap of a table; null: it can have none';
REVOKE ALL ON FUNCTION vectorshard.rows_of(text, regclass, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.delete_client_rows(client text, relation regclass, client_column text) RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  of_client text := vectorshard.rows_of(client, relation, client_column);
  gone bigint;
  remaining bigint;
BEGIN
  IF of_client IS NULL THEN RETURN 0; END IF;
  EXECUTE 'DELETE ' || of_client;
  GET DIAGNOSTICS gone = ROW_COUNT;
  EXECUTE 'SELECT count(*) ' || of_client INTO remaining;
  IF remaining > 0 THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('rows of client "%s" in "%s" could not be deleted', client, relation),
      DETAIL = format('Rows that are still there: %s.', remaining), HINT = 'Look for triggers, rules and row security on the table.';
  END IF;
  RETURN gone;
END $$;
COMMENT ON FUNCTION vectorshard.delete_client_rows(text, regclass, text) IS 'internal: deletes the rows of a client in the heap of a table; how many';
REVOKE ALL ON FUNCTION vectorshard.delete_client_rows(text, regclass, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.forget_client(client text, OUT rows bigint, OUT objects bigint) RETURNS record
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  t record;
BEGIN
  PERFORM vectorshard.require_own_client(client);
  -- What lies in a store is deleted as rows, too: their tombstones keep copies that are late from coming back.
  PERFORM vectorshard.bring_back(client);
  rows := 0;
  FOR t IN SELECT to_regclass(s.table_name) AS relation, s.client_column FROM vectorshard.shard_table s
            WHERE s.kind = 'vector_shard' AND s.state = 'enrolled' AND to_regclass(s.table_name) IS NOT NULL LOOP
    rows := rows + vectorshard.delete_client_rows(client, t.relation, t.client_column);
  END LOOP;
  PERFORM vectorshard.delete_client_rows(client, 'vectorshard.motion', 'client');
  DELETE FROM vectorshard.policy p WHERE p.client = client;
  DELETE FROM vectorshard.wish w WHERE w.client = client;
  SELECT count(*) INTO objects FROM vectorshard.segment_client c WHERE c.client = client;
  INSERT INTO vectorshard.erasure AS e (client, node, asked_at, rows, _version) VALUES (client, vectorshard.self_node(), clock_timestamp(), rows, 0)
    ON CONFLICT ON CONSTRAINT erasure_pkey DO UPDATE SET asked_at = excluded.asked_at, done_at = NULL, rows = excluded.rows, objects = 0, problem = NULL;
END $$;
COMMENT ON FUNCTION vectorshard.forget_client(text) IS
  'deletes all rows of a client of this home, and once the transaction has committed every object that holds or held them, and all copies of those, on every node: see erasures';
REVOKE ALL ON FUNCTION vectorshard.forget_client(text) FROM PUBLIC;

CREATE VIEW vectorshard.erasures AS
  SELECT a.client, n.name AS node, a.asked_at, e.done_at, e.rows, e.objects,
         CASE WHEN e.done_at IS NULL THEN coalesce(e.problem, 'not done yet') END AS problem
    FROM (SELECT e.client, max(e.asked_at) AS asked_at FROM vectorshard.erasure e GROUP BY 1) a
    CROSS JOIN vectorshard.node n LEFT JOIN vectorshard.erasure e ON e.client = a.client AND e.node = n.node AND e.asked_at = a.asked_at
   WHERE n.state <> 'removed';
COMMENT ON VIEW vectorshard.erasures IS
  'clients that were forgotten, and what each node has removed: nothing readable is left once each has a time in done_at';

-- What a node knows of a client beside its rows. Rows that were written after it was to be forgotten stay, and are those of a new client.
CREATE FUNCTION vectorshard.forget_traces(client text, asked_at timestamptz) RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  t record;
  found boolean;
BEGIN
  DELETE FROM vectorshard.rest r WHERE r.client = client;
  DELETE FROM vectorshard.decision_log d WHERE d.client = client;
  DELETE FROM vectorshard.conflict c WHERE c.client = client AND c.at <= clock_timestamp();
  DELETE FROM vectorshard.tier_move m WHERE m.kind = 'client' AND m.subject = client AND m.state IN ('done', 'failed');
  UPDATE vectorshard.tier_move m SET detail = m.detail - 'clients'
   WHERE m.kind = 'client' AND m.state IN ('done', 'failed') AND m.detail -> 'clients' ? client;
  FOR t IN SELECT to_regclass(s.table_name) AS relation, s.client_column FROM vectorshard.shard_table s
            WHERE s.kind = 'vector_shard' AND s.state = 'enrolled' AND to_regclass(s.table_name) IS NOT NULL
           UNION ALL SELECT 'vectorshard.motion', 'client' LOOP
    EXECUTE coalesce('SELECT EXISTS (SELECT ' || vectorshard.rows_of(client, t.relation, t.client_column) ||
                     ' AND vectorshard.version_time(_version) <= $1)', 'SELECT false') INTO found USING asked_at;
    IF found THEN RETURN format('rows of it are still in "%s" on this node', t.relation); END IF;
  END LOOP;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION vectorshard.forget_traces(text, timestamptz) IS
  'internal: removes what this node has learned and logged of a client; tells which of its rows are still here, null: none';
REVOKE ALL ON FUNCTION vectorshard.forget_traces(text, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.load_cold_clients() RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp SET session_replication_role = replica AS $$
DECLARE
  s record;
  relation regclass;
  columns text;
  declared text;
  loaded bigint;
  total bigint := 0;
BEGIN
  IF vectorshard.self_node() <> 0 THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'this database is a node of a fabric',
      HINT = 'Clients come back when they are needed, and by vectorshard.move_to_hot().';
  END IF;
  FOR s IN SELECT g.segment, g.table_name, t.client_column, array_agg(k.client) AS clients, sum(k.rows)::bigint AS rows
             FROM vectorshard.cold_client k JOIN vectorshard.segment g ON g.segment = k.segment
             JOIN vectorshard.shard_table t ON t.table_name = g.table_name GROUP BY 1, 2, 3 ORDER BY 1 LOOP
    relation := to_regclass(s.table_name);
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
           string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
      INTO columns, declared FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped;
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM vectorshard.segment_rows(%L, %s::oid) AS r(%s) WHERE %I::text = ANY ($1)',
                   relation, columns, s.segment, relation::oid, declared, s.client_column) USING s.clients;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    IF loaded IS DISTINCT FROM s.rows THEN
      RAISE data_corrupted USING MESSAGE = format('the rows of segment "%s" are not those of the manifest', s.segment),
        DETAIL = format('Rows of cold clients in it: %s, by the manifest: %s.', loaded, s.rows), HINT = 'Restore its object from the backup of the store.';
    END IF;
    total := total + loaded;
    DELETE FROM vectorshard.cold_client k WHERE k.segment = s.segment;
  END LOOP;
  RETURN total;
END $$;
COMMENT ON FUNCTION vectorshard.load_cold_clients() IS
  'in a database that was restored from a dump: brings the rows of cold clients into their tables, from the objects that the node had; gives how many';
REVOKE ALL ON FUNCTION vectorshard.load_cold_clients() FROM PUBLIC;
