-- Checks: comparing what nodes hold by digest, telling changes under way from differences, mending differences.

CREATE FUNCTION vectorshard.range_digests(client text, table_name text, ranges int,
                                          OUT range int, OUT rows bigint, OUT digest text) RETURNS SETOF record
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'vectorshard_range_digests';
COMMENT ON FUNCTION vectorshard.range_digests(text, text, int) IS
  'internal: digests of the rows of a client (or, client empty, of a reference table) by range of their hashed keys';

CREATE FUNCTION vectorshard.range_rows(client text, table_name text, ranges int, which int[], at_most int,
                                       OUT row_table text, OUT key text[], OUT version bigint, OUT deleted boolean,
                                       OUT digest text) RETURNS SETOF record
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_range_rows';
COMMENT ON FUNCTION vectorshard.range_rows(text, text, int, int[], int) IS
  'internal: key, version and digest of the rows of some ranges, at most so many';

CREATE FUNCTION vectorshard.digest_between(client text, table_name text, after text[], upto text[]) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_digest_between';
COMMENT ON FUNCTION vectorshard.digest_between(text, text, text[], text[]) IS
  'internal: number and digest of the rows of a table (of one client, or all) whose keys lie after one and up to another';

CREATE FUNCTION vectorshard.ask_node(node int, statement text, parameters text[] DEFAULT '{}', timeout_ms int DEFAULT 60000)
  RETURNS SETOF text[]
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'vectorshard_ask_node';
COMMENT ON FUNCTION vectorshard.ask_node(int, text, text[], int) IS
  'internal: runs a statement on a node, which may be this one; one array of texts a row';

CREATE FUNCTION vectorshard.ship_mark() RETURNS pg_lsn
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_ship_mark';
COMMENT ON FUNCTION vectorshard.ship_mark() IS 'internal: a place in the WAL before which everything committed here so far lies';

CREATE FUNCTION vectorshard.ship_delivered(since pg_lsn, peers int[]) RETURNS boolean
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_ship_delivered';
COMMENT ON FUNCTION vectorshard.ship_delivered(pg_lsn, int[]) IS
  'internal: whether what was committed here before a moment is acknowledged by peers, or in debt';

CREATE FUNCTION vectorshard.raise_version(client text, table_name text, key text[], version bigint) RETURNS boolean
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_raise_version';
COMMENT ON FUNCTION vectorshard.raise_version(text, text, text[], bigint) IS
  'internal: makes this node''s copy of a row the newer one of two that have the same version';

-- "rows digest" of what is held here; null for a client that is not, or is leaving.
CREATE FUNCTION vectorshard.digest_here(client text, table_name text) RETURNS text
  LANGUAGE sql STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT CASE WHEN $1 = '' OR EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = $1 AND NOT r.leaving)
              THEN coalesce((SELECT d.rows || ' ' || d.digest FROM vectorshard.range_digests($1, $2, 1) d), '0 ') END
$$;
COMMENT ON FUNCTION vectorshard.digest_here(text, text) IS
  'internal: number and digest of the rows of a client (or reference table) here; null if this node does not hold it';

-- Changes when the client leaves this node, and again when it comes back.
CREATE FUNCTION vectorshard.held_here(client text) RETURNS text
  LANGUAGE sql STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT CASE WHEN $1 = '' THEN '' ELSE (SELECT r.generation::text FROM vectorshard.resident r WHERE r.client = $1 AND NOT r.leaving) END
$$;
COMMENT ON FUNCTION vectorshard.held_here(text) IS 'internal: the generation of this node''s copy of a client; null if it has none, or is leaving';

CREATE FUNCTION vectorshard.owe(client text, table_name text, peer int) RETURNS void
  LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name) SELECT $3, $1, $2 WHERE $3 <> vectorshard.self_node()
    ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error
$$;
COMMENT ON FUNCTION vectorshard.owe(text, text, int) IS 'internal: records that a peer lacks changes of a client or reference table';

-- Two statements, in this order: what leaves a queue for debt is committed as debt before the queue is shown without it.
CREATE FUNCTION vectorshard.delivered(client text, table_name text, since pg_lsn, writers int[], peers int[]) RETURNS boolean
  LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF NOT vectorshard.ship_delivered(since, writers) THEN RETURN false; END IF;
  RETURN NOT EXISTS (SELECT FROM vectorshard.peer_debt d
                      WHERE d.peer IN (SELECT 0 UNION ALL SELECT unnest(delivered.peers)) AND d.client = delivered.client
                        AND (delivered.client <> '' OR d.table_name IN (delivered.table_name, 'vectorshard.tombstone', '*')));
END $$;
COMMENT ON FUNCTION vectorshard.delivered(text, text, pg_lsn, int[], int[]) IS
  'internal: whether writers have what was committed here before a moment, and peers are owed nothing of a client or reference table';

-- True once everything that the writers had committed when this was called has reached each of them, and each of `between`
-- is owed nothing; false at the time-out, or if a writer cannot be asked. A writer may have answered before it heard from
-- another what makes it owe (that the home is elsewhere, that somebody holds the client), and what a payment teaches a home
-- makes that owe others: so all are asked again, as often as debts follow from each other.
CREATE FUNCTION vectorshard.wait_delivered(p_client text, p_table text, p_writers int[], p_between int[], p_timeout_s float8)
  RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  until timestamptz := clock_timestamp() + make_interval(secs => p_timeout_s);
  marks text[] := '{}';
  mark text[];
BEGIN
  FOR i IN 1 .. cardinality(p_writers) LOOP
    SELECT a INTO mark FROM vectorshard.ask_node(p_writers[i], 'SELECT vectorshard.ship_mark()', '{}', 5000) a;
    marks := marks || mark;
  END LOOP;
  FOR turn IN 1 .. 3 LOOP
    FOR i IN 1 .. cardinality(p_writers) LOOP
      LOOP
        SELECT a INTO mark FROM vectorshard.ask_node(p_writers[i],
          'SELECT vectorshard.delivered($1, $2, $3::pg_lsn, $4::int[], $5::int[])',
          ARRAY[p_client, p_table, marks[i], p_writers::text, p_between::text], 5000) a;
        EXIT WHEN mark[1] = 't';
        IF clock_timestamp() > until THEN RETURN false; END IF;
        PERFORM pg_sleep(0.05);
      END LOOP;
    END LOOP;
  END LOOP;
  RETURN true;
EXCEPTION WHEN connection_exception OR sqlclient_unable_to_establish_sqlconnection OR connection_failure THEN
  RETURN false;
END $$;
COMMENT ON FUNCTION vectorshard.wait_delivered(text, text, int[], int[], float8) IS
  'internal: waits until all that writers have committed of a client or reference table has reached two nodes';

-- The rows that differ between this node and a peer now; `sign` tells two states of a difference apart. Of the hashed
-- keys' ranges that differ, the first 64 are looked at.
CREATE FUNCTION vectorshard.differing_rows(p_client text, p_table text, p_peer int)
  RETURNS TABLE (sign text, row_table text, key text[], here bigint, there bigint, deleted boolean)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  ranges constant int := 256;
  at_most constant int := 10000;
  which int[];
BEGIN
  SELECT array_agg(d.range) INTO which FROM (
    SELECT coalesce(mine.range, theirs.a[1]::int) AS range
      FROM vectorshard.range_digests(p_client, p_table, ranges) mine
      FULL JOIN vectorshard.ask_node(p_peer, 'SELECT range, digest FROM vectorshard.range_digests($1, $2, $3::int)',
                                     ARRAY[p_client, p_table, ranges::text]) AS theirs(a) ON theirs.a[1]::int = mine.range
     WHERE mine.digest IS DISTINCT FROM theirs.a[2] ORDER BY 1 LIMIT 64) d;
  IF which IS NULL THEN RETURN; END IF;
  RETURN QUERY
    SELECT concat_ws(' ', coalesce(mine.row_table, theirs.a[1]), coalesce(mine.key::text, theirs.a[2]),
                     coalesce(mine.digest, '-'), coalesce(theirs.a[5], '-')),
           coalesce(mine.row_table, theirs.a[1]), coalesce(mine.key, theirs.a[2]::text[]), mine.version, theirs.a[3]::bigint,
           coalesce(mine.deleted, theirs.a[4]::boolean)
      FROM vectorshard.range_rows(p_client, p_table, ranges, which, at_most) mine
      FULL JOIN vectorshard.ask_node(p_peer, 'SELECT row_table, key, version, deleted, digest '
                                     'FROM vectorshard.range_rows($1, $2, $3::int, $4::int[], $5::int)',
                                     ARRAY[p_client, p_table, ranges::text, which::text, at_most::text]) AS theirs(a)
        ON theirs.a[1] = mine.row_table AND theirs.a[2]::text[] = mine.key AND theirs.a[4]::boolean = mine.deleted
     WHERE mine.digest IS DISTINCT FROM theirs.a[5];
END $$;
COMMENT ON FUNCTION vectorshard.differing_rows(text, text, int) IS 'internal: rows of a client or reference table that differ from a peer''s';

CREATE FUNCTION vectorshard.held_by(p_client text, p_peer int) RETURNS text[]
  LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT ARRAY[vectorshard.held_here(p_client), a[1]]
    FROM vectorshard.ask_node(p_peer, 'SELECT vectorshard.held_here($1)', ARRAY[p_client]) a
$$;
COMMENT ON FUNCTION vectorshard.held_by(text, int) IS 'internal: the generations of this node''s and a peer''s copies of a client';

-- Compares with one peer. A row counts as different only if both its states are the same before and after everything that
-- the writers had committed has reached both nodes: what is under way changes one of them meanwhile. And only if both held
-- the client all the time: one that let it go has no rows.
CREATE FUNCTION vectorshard.compare_with(p_client text, p_table text, p_peer int, p_writers int[], p_rounds int, p_wait_s float8,
                                         OUT state text, OUT rows bigint, OUT differing bigint, OUT sample text[])
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  here text;
  there text;
  before text[];
  held text[];
BEGIN
  state := 'under_way';
  FOR round IN 1 .. p_rounds LOOP
    held := vectorshard.held_by(p_client, p_peer);
    here := vectorshard.digest_here(p_client, p_table);
    SELECT a[1] INTO there FROM vectorshard.ask_node(p_peer, 'SELECT vectorshard.digest_here($1, $2)', ARRAY[p_client, p_table]) a;
    rows := split_part(there, ' ', 1);
    IF here IS NULL OR there IS NULL THEN
      state := 'absent';
      RETURN;
    ELSIF here = there THEN
      state := 'equal';
      RETURN;
    END IF;
    SELECT array_agg(d.sign) INTO before FROM vectorshard.differing_rows(p_client, p_table, p_peer) d;
    CONTINUE WHEN before IS NULL OR NOT vectorshard.wait_delivered(p_client, p_table, p_writers,
                                        ARRAY[vectorshard.self_node(), p_peer], p_wait_s);
    SELECT count(*), (array_agg(format('%s (%s)%s', d.row_table, array_to_string(d.key, ', '), CASE WHEN d.deleted THEN ' deleted' ELSE '' END)
                                ORDER BY d.row_table, d.key))[1:5]
      INTO differing, sample FROM vectorshard.differing_rows(p_client, p_table, p_peer) d WHERE d.sign = ANY (before);
    IF differing > 0 AND held = vectorshard.held_by(p_client, p_peer) THEN
      state := 'differs';
      RETURN;
    END IF;
    differing := NULL;
  END LOOP;
EXCEPTION WHEN connection_exception OR invalid_authorization_specification THEN
  state := 'unreachable';
END $$;
COMMENT ON FUNCTION vectorshard.compare_with(text, text, int, int[], int, float8) IS
  'internal: compares a client or reference table with a peer: equal, differs, under_way, absent, unreachable';

-- Mends what compare_with found: each side gives the other what it has, by sync, which only ever adds. Rows of one version
-- and two contents remain: of a client the home's content stays, of a reference table that of the node with the smaller
-- number; it becomes the newer one.
CREATE FUNCTION vectorshard.mend(p_client text, p_table text, p_peer int) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  self int := vectorshard.self_node();
BEGIN
  PERFORM vectorshard.ask_node(CASE WHEN p_client = '' THEN least(self, p_peer) ELSE self END,
            'SELECT vectorshard.raise_version($1, $2, $3::text[], $4::bigint)', ARRAY[p_client, d.row_table, d.key::text, d.here::text])
    FROM vectorshard.differing_rows(p_client, p_table, p_peer) d WHERE d.here = d.there AND NOT d.deleted;
  PERFORM vectorshard.owe(p_client, p_table, p_peer);
  PERFORM vectorshard.ask_node(p_peer, 'SELECT vectorshard.owe($1, $2, $3::int)', ARRAY[p_client, p_table, self::text]);
END $$;
COMMENT ON FUNCTION vectorshard.mend(text, text, int) IS 'internal: makes two nodes give each other what they hold of a client or reference table';

-- One record a client (or table) and peer, as long as they differ.
CREATE FUNCTION vectorshard.note_difference(p_client text, p_table text, p_peer text, p_state text, p_differing bigint, p_sample text[])
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF p_state = 'equal' THEN
    UPDATE vectorshard.conflict c SET resolved = now()
      WHERE c.table_name = p_table AND c.client = p_client AND c.key = p_peer AND c.kind = 'diverged' AND c.resolved IS NULL;
  ELSIF p_state = 'differs' AND NOT EXISTS (SELECT FROM vectorshard.conflict c WHERE c.table_name = p_table AND c.client = p_client
                                               AND c.key = p_peer AND c.kind = 'diverged' AND c.resolved IS NULL) THEN
    RAISE LOG 'vectorshard check: % differs from node "%"', CASE WHEN p_client = '' THEN 'table ' || p_table ELSE format('client %L', p_client) END, p_peer
      USING DETAIL = format('%s rows, such as %s.', p_differing, array_to_string(p_sample, '; '));
    INSERT INTO vectorshard.conflict (kind, table_name, client, key, reason)
      VALUES ('diverged', p_table, p_client, p_peer, format('%s rows differ, such as %s', p_differing, array_to_string(p_sample, '; ')));
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.note_difference(text, text, text, text, bigint, text[]) IS 'internal: keeps the record of a difference in vectorshard.conflict';

-- Compares one client (this node is its home) or reference table with the peers that hold it.
CREATE FUNCTION vectorshard.check_here(p_client text, p_table text, p_repair boolean, p_rounds int, p_wait_s float8,
                                       OUT peer text, OUT state text, OUT rows bigint, OUT differing bigint, OUT sample text[])
  RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_column
DECLARE
  self int := vectorshard.self_node();
  other record;
  other_node int;
  writers int[];
  to_mend int[] := '{}';
BEGIN
  SELECT array_agg(n.node) INTO writers FROM vectorshard.node n
    WHERE n.state <> 'removed' AND (p_client = '' OR n.node = self OR EXISTS (SELECT FROM vectorshard.holder h WHERE h.client = p_client AND h.node = n.node));
  FOR other IN SELECT n.node, n.name FROM vectorshard.node n WHERE n.node = ANY (writers) AND n.node <> self
                 AND (p_client = '' OR EXISTS (SELECT FROM vectorshard.holder h WHERE h.client = p_client AND h.node = n.node AND h.state = 'live'))
                 ORDER BY n.node LOOP
    SELECT c.* INTO state, rows, differing, sample FROM vectorshard.compare_with(p_client, p_table, other.node, writers, p_rounds, p_wait_s) c;
    PERFORM vectorshard.note_difference(p_client, p_table, other.name, state, differing, sample);
    IF state = 'differs' AND p_repair THEN
      to_mend := to_mend || other.node;
      state := 'repairing';
    END IF;
    peer := other.name;
    RETURN NEXT;
  END LOOP;
  -- Only now: what it changes here, no other node sees before this transaction ends.
  FOREACH other_node IN ARRAY to_mend LOOP
    BEGIN
      PERFORM vectorshard.mend(p_client, p_table, other_node);
    EXCEPTION WHEN connection_exception OR invalid_authorization_specification THEN NULL;  -- the next check tries again
    END;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.check_here(text, text, boolean, int, float8) IS
  'internal: compares a client whose home is here, or a reference table, with all its holders';

CREATE FUNCTION vectorshard.require_fresh_snapshots() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  PERFORM vectorshard.require_member();
  IF current_setting('transaction_isolation') <> 'read committed' OR pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'a check needs a transaction of its own' USING ERRCODE = 'active_sql_transaction',
      DETAIL = 'It compares what other nodes see now with what this transaction sees.',
      HINT = 'Call it alone, at isolation level read committed, before the transaction has written anything.';
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.require_fresh_snapshots() IS 'internal: raises if this transaction sees other rows than the nodes do';

CREATE FUNCTION vectorshard.check_client(client text, repair boolean DEFAULT false,
                                         OUT node text, OUT state text, OUT rows bigint, OUT differing bigint, OUT sample text[])
  RETURNS SETOF record LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_column
DECLARE
  home int;
BEGIN
  PERFORM vectorshard.require_fresh_snapshots();
  SELECT c.home INTO home FROM vectorshard.client c WHERE c.client = check_client.client;
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', check_client.client),
      HINT = 'Look at vectorshard.placements.';
  END IF;
  RETURN QUERY SELECT a[1], a[2], a[3]::bigint, a[4]::bigint, a[5]::text[]
    FROM vectorshard.ask_node(home, 'SELECT peer, state, rows, differing, sample FROM vectorshard.check_here($1, '''', $2::boolean, 4, 5)',
                              ARRAY[check_client.client, repair::text], 120000) AS a;
END $$;
COMMENT ON FUNCTION vectorshard.check_client(text, boolean) IS
  'compares every holder of a client with its home, by digest, while all write on; mends what differs if asked to';
REVOKE ALL ON FUNCTION vectorshard.check_client(text, boolean) FROM PUBLIC;

-- Clients of this home after `p_after`, at most so many: those whose digests differ are compared with care. Peers that the
-- shipper does not reach are told once. Gives the last client looked at, and in `equal` how many copies are.
CREATE FUNCTION vectorshard.check_next(p_after text, p_at_most int, p_repair boolean, p_rounds int, p_wait_s float8,
                                       OUT client text, OUT peer text, OUT state text, OUT rows bigint, OUT differing bigint, OUT sample text[])
  RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_column
DECLARE
  self int := vectorshard.self_node();
  names text[];
  held record;
  suspects text[] := '{}';
  found text[];
BEGIN
  SELECT array_agg(q.client), max(q.client) INTO names, client FROM (
    SELECT c.client FROM vectorshard.client c
     WHERE c.home = self AND c.client > p_after
       AND EXISTS (SELECT FROM vectorshard.holder h WHERE h.client = c.client AND h.node <> self AND h.state = 'live')
     ORDER BY c.client LIMIT p_at_most) q;
  IF names IS NULL THEN RETURN; END IF;
  RETURN NEXT;  -- how far this came
  FOR held IN SELECT n.node, n.name, array_agg(h.client) AS clients FROM vectorshard.holder h JOIN vectorshard.node n USING (node)
               WHERE h.client = ANY (names) AND h.node <> self AND h.state = 'live' AND n.state <> 'removed' GROUP BY n.node, n.name LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM vectorshard.ship_peers() p WHERE p.node = held.node AND p.connected) THEN
        RAISE connection_exception;
      END IF;
      SELECT array_agg(t.a[1]) INTO found
        FROM vectorshard.ask_node(held.node, 'SELECT c, vectorshard.digest_here(c, '''') FROM unnest($1::text[]) AS c', ARRAY[held.clients::text]) AS t(a)
       WHERE t.a[2] IS DISTINCT FROM vectorshard.digest_here(t.a[1], '');
      suspects := suspects || found;
      UPDATE vectorshard.conflict c SET resolved = now()
        WHERE c.kind = 'diverged' AND c.resolved IS NULL AND c.table_name = '' AND c.key = held.name
          AND c.client = ANY (held.clients) AND c.client <> ALL (coalesce(found, '{}'));
      client := NULL; peer := held.name; state := 'equal'; rows := cardinality(held.clients) - coalesce(cardinality(found), 0);
      RETURN NEXT;
    EXCEPTION WHEN connection_exception OR invalid_authorization_specification THEN
      client := NULL; peer := held.name; state := 'unreachable'; rows := cardinality(held.clients);
      RETURN NEXT;
    END;
  END LOOP;
  RETURN QUERY SELECT s, c.* FROM (SELECT DISTINCT unnest(suspects) AS s) u
    CROSS JOIN LATERAL vectorshard.check_here(u.s, '', p_repair, p_rounds, p_wait_s) c;
END $$;
COMMENT ON FUNCTION vectorshard.check_next(text, int, boolean, int, float8) IS 'internal: checks some clients whose home is here';

-- The tables that every node holds in full: those of the user, and of the fabric's those that no node trims for itself.
CREATE FUNCTION vectorshard.full_tables() RETURNS SETOF text
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT table_name FROM vectorshard.shard_table WHERE kind = 'reference' AND state = 'enrolled' AND to_regclass(table_name) IS NOT NULL
  UNION ALL SELECT unnest(ARRAY['vectorshard.node', 'vectorshard.shard_table', 'vectorshard.client', 'vectorshard.store'])
$$;
COMMENT ON FUNCTION vectorshard.full_tables() IS 'internal: tables that are equal on every node';

-- What the tiering worker does now and then: some clients, and at the end of a turn, if it is time, the tables. Gives where
-- to go on; empty: from the start.
CREATE FUNCTION vectorshard.check_round(p_after text, p_at_most int, p_tables boolean) RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  last text;
BEGIN
  SELECT max(c.client) FILTER (WHERE c.peer IS NULL) INTO last FROM vectorshard.check_next(p_after, p_at_most, true, 2, 5) c;
  IF last IS NULL AND (p_tables OR EXISTS (SELECT FROM vectorshard.conflict c WHERE c.kind = 'diverged' AND c.client = ''
                                              AND c.resolved IS NULL)) THEN
    PERFORM c.* FROM vectorshard.full_tables() t CROSS JOIN LATERAL vectorshard.check_here('', t, true, 2, 5) c;
  END IF;
  RETURN coalesce(last, '');
END $$;
COMMENT ON FUNCTION vectorshard.check_round(text, int, boolean) IS 'internal: the background check of some clients';

CREATE FUNCTION vectorshard.check_fabric(repair boolean DEFAULT false, every_node boolean DEFAULT false,
                                         OUT node text, OUT client text, OUT table_name text, OUT state text, OUT rows bigint,
                                         OUT differing bigint, OUT sample text[])
  RETURNS SETOF record LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_column
DECLARE
  at text := '';
  got record;
  equal jsonb := '{}';
  away jsonb := '{}';
  t text;
BEGIN
  PERFORM vectorshard.require_fresh_snapshots();
  IF every_node THEN
    FOR got IN SELECT n.node, n.name FROM vectorshard.node n WHERE n.state <> 'removed' ORDER BY n.node LOOP
      BEGIN
        RETURN QUERY SELECT a[1], a[2], a[3], a[4], a[5]::bigint, a[6]::bigint, a[7]::text[]
          FROM vectorshard.ask_node(got.node, 'SELECT * FROM vectorshard.peer_check_fabric($1::boolean)', ARRAY[repair::text], 3600000) AS a;
      EXCEPTION WHEN connection_exception OR invalid_authorization_specification THEN
        node := got.name; client := NULL; table_name := NULL; state := 'unreachable'; rows := NULL; differing := NULL; sample := NULL;
        RETURN NEXT;
      END;
    END LOOP;
    RETURN;
  END IF;
  FOR t IN SELECT vectorshard.full_tables() LOOP
    FOR got IN SELECT * FROM vectorshard.check_here('', t, repair, 4, 5) LOOP
      IF got.state = 'equal' THEN CONTINUE; END IF;
      node := got.peer; client := NULL; table_name := t; state := got.state; rows := got.rows; differing := got.differing; sample := got.sample;
      RETURN NEXT;
    END LOOP;
  END LOOP;
  table_name := NULL;
  LOOP
    t := NULL;
    FOR got IN SELECT * FROM vectorshard.check_next(at, 200, repair, 4, 5) LOOP
      IF got.peer IS NULL THEN
        t := got.client;
      ELSIF got.state = 'equal' THEN
        equal := equal || jsonb_build_object(got.peer, coalesce((equal ->> got.peer)::bigint, 0) + CASE WHEN got.client IS NULL THEN got.rows ELSE 1 END);
      ELSIF got.client IS NULL THEN
        away := away || jsonb_build_object(got.peer, coalesce((away ->> got.peer)::bigint, 0) + got.rows);
      ELSIF got.client IS NOT NULL THEN
        node := got.peer; client := got.client; state := got.state; rows := got.rows; differing := got.differing; sample := got.sample;
        RETURN NEXT;
      END IF;
    END LOOP;
    EXIT WHEN t IS NULL;
    at := t;
  END LOOP;
  client := NULL; differing := NULL; sample := NULL;
  RETURN QUERY SELECT e.key, NULL::text, NULL::text, 'equal', e.value::bigint, NULL::bigint, NULL::text[] FROM jsonb_each_text(equal) e
     UNION ALL SELECT e.key, NULL, NULL, 'unreachable', e.value::bigint, NULL, NULL FROM jsonb_each_text(away) e ORDER BY 1, 4;
END $$;
COMMENT ON FUNCTION vectorshard.check_fabric(boolean, boolean) IS
  'compares all clients whose home is this node with their holders, and the tables that every node holds; what is not equal, and how many copies are';
REVOKE ALL ON FUNCTION vectorshard.check_fabric(boolean, boolean) FROM PUBLIC;
