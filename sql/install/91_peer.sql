-- What other nodes may do here: all of it, and nothing else. They log in with an ordinary role that is a member of
-- vectorshard_peer; that role belongs to the cluster, so it stays when the extension goes. The rows of enrolled tables need no
-- grants (src/pg/read/peer_rights.hpp).
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'vectorshard_peer') THEN
    CREATE ROLE vectorshard_peer NOLOGIN;
    COMMENT ON ROLE vectorshard_peer IS 'vectorshard: what the nodes of a fabric may do at each other; for the roles with which they log in';
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- made for another database in this moment
END $$;

-- Moving a home, and checking, at the node that has to do it: what an operator called elsewhere.
CREATE FUNCTION vectorshard.peer_move_home(client text, to_node text) RETURNS void
  LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT vectorshard.move_home(client, to_node);
  END;
COMMENT ON FUNCTION vectorshard.peer_move_home(text, text) IS 'internal: move_home() as another node asks for it';
REVOKE ALL ON FUNCTION vectorshard.peer_move_home(text, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.peer_check_fabric(repair boolean, OUT node text, OUT client text, OUT table_name text, OUT state text, OUT rows bigint,
                                              OUT differing bigint, OUT sample text[])
  RETURNS SETOF record LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT * FROM vectorshard.check_fabric(repair);
  END;
COMMENT ON FUNCTION vectorshard.peer_check_fabric(boolean) IS 'internal: check_fabric() as another node asks for it';
REVOKE ALL ON FUNCTION vectorshard.peer_check_fabric(boolean) FROM PUBLIC;

-- These run with the rights of the extension's owner. None takes a statement, and each takes tables only that are enrolled.
DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY[
    -- joining, greeting, starts
    'wall_clock_ms()', 'register_node(text, text, uuid, text, int, text, text, text, bigint)', 'start_token()', 'grant_life(int, uuid, bigint)',
    'hello(int, uuid, bigint, text, bigint)', 'node_left(int, uuid)', 'table_definition(regclass)', 'is_attached(regclass)',
    -- changes and debts
    'apply(bytea)', 'flush_applied(boolean)', 'take_over_debt(text, int)', 'digest_between(text, text, text[], text[])',
    -- clients: births, copies, evictions, homes
    'birth_client(text)', 'copy_announce(text, int, bigint, text, bigint)', 'copy_export(text)', 'copy_export(text, text)',
    'evict_handshake(text, int, bigint, text, boolean, int[])', 'become_home(text, int, bigint, text, boolean)', 'take_home(text, int, bigint, boolean)',
    'confirm_home(text, int, bigint, int)',
    'peer_move_home(text, text)',
    -- reading
    'holds(text[])', 'home_marks(text, bigint)',
    -- checks
    'ship_mark()', 'delivered(text, text, pg_lsn, int[], int[])', 'range_digests(text, text, int)', 'range_rows(text, text, int, int[], int)',
    'held_here(text)', 'digest_here(text, text)', 'raise_version(text, text, text[], bigint)', 'owe(text, text, int)',
    'check_here(text, text, boolean, int, float8)', 'peer_check_fabric(boolean)'
  ] LOOP
    EXECUTE pg_catalog.format('ALTER FUNCTION vectorshard.%s SECURITY DEFINER', f);
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION vectorshard.%s TO vectorshard_peer', f);
  END LOOP;
  -- Aggregates that homes begin and askers end. They only compute.
  FOR f IN SELECT p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = 'vectorshard'::regnamespace AND p.prokind = 'a' AND p.proname LIKE 'state15\_%' LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO vectorshard_peer', f);
  END LOOP;
END $$;

-- A node that joins copies these; whoever reads looks up homes, and whether one moved meanwhile.
GRANT SELECT ON vectorshard.node, vectorshard.shard_table, vectorshard.client, vectorshard.wish, vectorshard.holder, vectorshard.policy,
  vectorshard.store, vectorshard.segment, vectorshard.erasure, vectorshard.node_state, vectorshard.price, vectorshard.quality, vectorshard.ddl, vectorshard.tombstone,
  vectorshard.home_event TO vectorshard_peer;
