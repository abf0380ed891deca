-- DDL on all nodes: a statement is run here, and its text goes to every node as a row of a fabric table; the holder worker
-- of each runs what it has not run yet, in order. Rows that meet another schema wait as debt.

CREATE TABLE vectorshard.ddl (
  statement   bigint PRIMARY KEY,
  node        int NOT NULL,
  role        text NOT NULL,
  search_path text NOT NULL,
  sql         text NOT NULL,
  tables      text[] NOT NULL,
  _version    bigint NOT NULL
);
COMMENT ON TABLE vectorshard.ddl IS
  'statements for all nodes, in the order of their numbers, and the enrolled tables they altered; written by the node where they were given';
SELECT vectorshard.attach_triggers('vectorshard.ddl');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.ddl', '');

CREATE TABLE vectorshard.ddl_done (
  statement bigint PRIMARY KEY,
  done      boolean NOT NULL,
  at        timestamptz NOT NULL DEFAULT now(),
  tries     int NOT NULL DEFAULT 1,
  error     text
);
COMMENT ON TABLE vectorshard.ddl_done IS 'which statements this node has run, or tried to; never shipped';
SELECT pg_catalog.pg_extension_config_dump('vectorshard.ddl_done', '');

CREATE FUNCTION vectorshard.ddl_refusal(sql text) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_ddl_refusal';
COMMENT ON FUNCTION vectorshard.ddl_refusal(text) IS 'internal: why statements cannot be run on all nodes, or null';

CREATE FUNCTION vectorshard.varying_default(relation regclass, after int) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_varying_default';
COMMENT ON FUNCTION vectorshard.varying_default(regclass, int) IS
  'internal: a column with a larger number whose default may give other values on another node, as now() and sequences do';

CREATE FUNCTION vectorshard.column_counts() RETURNS jsonb
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT coalesce(jsonb_object_agg(c.oid::text, c.relnatts), '{}')
    FROM vectorshard.shard_table s JOIN pg_class c ON c.oid = to_regclass(s.table_name) WHERE s.state = 'enrolled'
$$;
COMMENT ON FUNCTION vectorshard.column_counts() IS 'internal: the enrolled tables of this node, and how many columns they ever had';

CREATE FUNCTION vectorshard.column_numbers() RETURNS jsonb
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT coalesce(jsonb_object_agg(format('%I of %s: %s', a.attname, s.table_name, format_type(a.atttypid, a.atttypmod)), a.attnum), '{}')
    FROM vectorshard.shard_table s JOIN pg_attribute a ON a.attrelid = to_regclass(s.table_name)
   WHERE s.state = 'enrolled' AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION vectorshard.column_numbers() IS 'internal: the columns of enrolled tables by name and type, and their numbers';

-- Rows are matched by the names and types of columns: of a row that is under way none tells which of two columns was meant.
CREATE FUNCTION vectorshard.check_same_columns(before jsonb) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  other text;
BEGIN
  SELECT b.key INTO other FROM jsonb_each(before) b JOIN jsonb_each(vectorshard.column_numbers()) a USING (key) WHERE a.value <> b.value LIMIT 1;
  IF other IS NULL THEN RETURN; END IF;
  RAISE EXCEPTION 'this cannot be run on all nodes' USING ERRCODE = 'feature_not_supported',
    DETAIL = format('Another column would have the name and type of column %s. Rows that are under way would be put into the wrong one.', other),
    HINT = 'Use another name; or do it in two calls, and the second when no node owes the others anything (vectorshard.ship_lag).';
END $$;
COMMENT ON FUNCTION vectorshard.check_same_columns(jsonb) IS 'internal: raises if a column took the place of another of the same name and type';

-- Every node fills the rows that it holds, and under the versions that they have: other values would never be noticed.
CREATE FUNCTION vectorshard.check_new_defaults(before jsonb) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  varying_column text;
BEGIN
  SELECT format('%I of %s', v.name, vectorshard.name_of(b.key::oid)) INTO varying_column
    FROM jsonb_each_text(before) b, vectorshard.varying_default(b.key::oid, b.value::int) v (name) WHERE v.name IS NOT NULL LIMIT 1;
  IF varying_column IS NULL THEN RETURN; END IF;
  RAISE EXCEPTION 'this cannot be run on all nodes' USING ERRCODE = 'feature_not_supported',
    DETAIL = format('The default of the new column %s gives other values on other nodes for the rows that are there.', varying_column),
    HINT = 'Add the column without a default in one call, set the default in another, then UPDATE the rows.';
END $$;
COMMENT ON FUNCTION vectorshard.check_new_defaults(jsonb) IS 'internal: raises if a column was added whose values would differ between nodes';

CREATE FUNCTION vectorshard.execute_ddl(p_search_path text, p_sql text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  PERFORM set_config('search_path', p_search_path, true);
  EXECUTE p_sql;
END $$;
COMMENT ON FUNCTION vectorshard.execute_ddl(text, text) IS 'internal: runs statements under a search path';

CREATE FUNCTION vectorshard.definitions() RETURNS jsonb
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT coalesce(jsonb_object_agg(s.table_name, vectorshard.table_definition(to_regclass(s.table_name))), '{}')
    FROM vectorshard.shard_table s WHERE s.state = 'enrolled' AND to_regclass(s.table_name) IS NOT NULL
$$;
COMMENT ON FUNCTION vectorshard.definitions() IS 'internal: the enrolled tables of this node, and how they are defined now';

-- Not pinned: the statement is run under the caller's search path. Everything here is qualified.
CREATE FUNCTION vectorshard.run_on_all_nodes(sql text) RETURNS bigint
  LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE AS $$
DECLARE
  path text := pg_catalog.current_setting('search_path');
BEGIN
  RETURN vectorshard.run_here_and_ship(sql, path);
END $$;
COMMENT ON FUNCTION vectorshard.run_on_all_nodes(text) IS
  'runs DDL here, in this transaction, and then on every other node in the order it was given; its number';
REVOKE ALL ON FUNCTION vectorshard.run_on_all_nodes(text) FROM PUBLIC;

CREATE FUNCTION vectorshard.run_here_and_ship(p_sql text, p_search_path text) RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  refusal text := vectorshard.ddl_refusal(p_sql);
  number bigint;
  before jsonb;
  counts jsonb;
  numbers jsonb;
BEGIN
  PERFORM vectorshard.require_member();
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION 'must be superuser to run statements on all nodes' USING ERRCODE = 'insufficient_privilege',
      DETAIL = format('The current role is %I.', current_user), HINT = 'Other nodes run them as the same role.';
  ELSIF refusal IS NOT NULL THEN
    RAISE EXCEPTION 'this cannot be run on all nodes' USING ERRCODE = 'feature_not_supported', DETAIL = refusal,
      HINT = 'Only statements that define objects are; rows reach other nodes by themselves.';
  END IF;
  -- One at a time, so that the numbers are in the order of the commits.
  PERFORM pg_advisory_xact_lock(hashtextextended('vectorshard.run_on_all_nodes', 0));
  number := vectorshard.next_version();
  before := vectorshard.definitions();
  counts := vectorshard.column_counts();
  numbers := vectorshard.column_numbers();
  PERFORM vectorshard.execute_ddl(p_search_path, p_sql);
  PERFORM vectorshard.check_new_defaults(counts);
  PERFORM vectorshard.check_same_columns(numbers);
  INSERT INTO vectorshard.ddl (statement, node, role, search_path, sql, tables, _version)
    SELECT number, vectorshard.self_node(), current_user, p_search_path, p_sql,
           coalesce(array_agg(key) FILTER (WHERE b.value IS DISTINCT FROM a.value), '{}'), number
      FROM jsonb_each_text(before) b FULL JOIN jsonb_each_text(vectorshard.definitions()) a USING (key);
  INSERT INTO vectorshard.ddl_done (statement, done) VALUES (number, true);
  RETURN number;
END $$;
COMMENT ON FUNCTION vectorshard.run_here_and_ship(text, text) IS 'internal: run_on_all_nodes under a search path';

-- One statement, in a subtransaction. True: done, or the next may be tried; false: a lock is in the way, and all wait. Of the holder worker and
-- accept_ddl() one runs statements at a time, or both would run the same one, and the second would note that it failed.
CREATE FUNCTION vectorshard.run_statement(d vectorshard.ddl) RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  role text := current_setting('role');
  message text;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('vectorshard.run_statement', 0)) THEN RETURN false; END IF;
  IF EXISTS (SELECT FROM vectorshard.ddl_done t WHERE t.statement = d.statement AND t.done) THEN RETURN true; END IF;
  -- Tables made here from a later definition have it in them.
  IF d.tables = '{}' OR EXISTS (SELECT FROM vectorshard.shard_table s WHERE s.table_name = ANY (d.tables) AND s._version < d.statement) THEN
    IF NOT current_setting('vectorshard.accept_ddl_from_peers')::boolean THEN
      RAISE insufficient_privilege USING MESSAGE = 'it is not run here before accept_ddl() is called',
        DETAIL = 'vectorshard.accept_ddl_from_peers is off.';
    END IF;
    PERFORM set_config('role', d.role, true);
    PERFORM vectorshard.execute_ddl(d.search_path, d.sql);
    PERFORM set_config('role', role, true);
  END IF;
  INSERT INTO vectorshard.ddl_done AS t (statement, done) VALUES (d.statement, true)
    ON CONFLICT (statement) DO UPDATE SET done = true, at = now(), tries = t.tries + 1;
  UPDATE vectorshard.conflict SET resolved = now() WHERE kind = 'ddl' AND loser = d.statement AND resolved IS NULL;
  RETURN true;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = PG_EXCEPTION_DETAIL;
  message := concat_ws(': ', SQLERRM, nullif(message, ''));
  INSERT INTO vectorshard.ddl_done AS t (statement, done, error) VALUES (d.statement, false, message)
    ON CONFLICT (statement) DO UPDATE SET error = excluded.error, at = now(), tries = t.tries + 1;
  IF SQLSTATE IN ('55P03', '40P01', '40001') THEN RETURN false; END IF;
  INSERT INTO vectorshard.conflict (kind, table_name, client, key, loser, reason)
    SELECT 'ddl', coalesce(d.tables[1], ''), '', d.sql, d.statement, message
     WHERE NOT EXISTS (SELECT FROM vectorshard.conflict c WHERE c.kind = 'ddl' AND c.loser = d.statement AND c.resolved IS NULL);
  RETURN true;
END $$;
COMMENT ON FUNCTION vectorshard.run_statement(vectorshard.ddl) IS 'internal: runs one statement of another node, once';

-- True if something is left to be tried again.
CREATE FUNCTION vectorshard.run_statements() RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  d vectorshard.ddl;
BEGIN
  FOR d IN SELECT s.* FROM vectorshard.ddl s WHERE NOT EXISTS (SELECT FROM vectorshard.ddl_done t WHERE t.statement = s.statement AND t.done)
            ORDER BY s.statement LOOP
    IF NOT vectorshard.run_statement(d) THEN RETURN true; END IF;
  END LOOP;
  RETURN EXISTS (SELECT FROM vectorshard.ddl_done t WHERE NOT t.done);
END $$;
COMMENT ON FUNCTION vectorshard.run_statements() IS 'internal: runs the statements of other nodes that this node has not run';

-- For a node that does not run by itself what others tell it; whoever calls it has looked at what is waiting.
CREATE FUNCTION vectorshard.accept_ddl() RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  before text := current_setting('vectorshard.accept_ddl_from_peers');
  done boolean;
BEGIN
  PERFORM vectorshard.require_member();
  PERFORM pg_advisory_xact_lock(hashtextextended('vectorshard.run_statement', 0));
  PERFORM set_config('vectorshard.accept_ddl_from_peers', 'on', true);
  PERFORM vectorshard.run_statements();
  PERFORM vectorshard.realize_tables();
  done := NOT vectorshard.run_statements();
  PERFORM set_config('vectorshard.accept_ddl_from_peers', before, true);
  RETURN done;
END $$;
COMMENT ON FUNCTION vectorshard.accept_ddl() IS
  'makes the tables and runs the statements of other nodes that wait because accept_ddl_from_peers is off; true: none is left';
REVOKE ALL ON FUNCTION vectorshard.accept_ddl() FROM PUBLIC;

CREATE FUNCTION vectorshard.type_statements(sql text) RETURNS text[]
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_type_statements';
COMMENT ON FUNCTION vectorshard.type_statements(text) IS 'internal: those of the statements that give a type another name or schema';

-- A new node was given the tables as they are now, so what altered them is left out, but for the names of their types. Of
-- the rest, what fails was overtaken by something later.
CREATE FUNCTION vectorshard.catch_up_statements() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  d vectorshard.ddl;
BEGIN
  FOR d IN SELECT s.* FROM vectorshard.ddl s ORDER BY s.statement LOOP
    IF d.tables <> '{}' THEN
      d.sql := array_to_string(vectorshard.type_statements(d.sql), ';');
      d.tables := '{}';
    END IF;
    PERFORM vectorshard.run_statement(d);
  END LOOP;
  UPDATE vectorshard.ddl_done SET done = true WHERE NOT done;
  UPDATE vectorshard.conflict SET resolved = now() WHERE kind = 'ddl' AND resolved IS NULL;
END $$;
COMMENT ON FUNCTION vectorshard.catch_up_statements() IS 'internal: what a node that joins does about statements given before';
