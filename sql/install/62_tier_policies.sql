-- Tier: what policies want moved, and a pass over them: by the tiering worker, every minute and when run_tiering() asks for one.

-- Partitions that the policy of a table wants in its store: those that hold rows here and whose range ended long enough ago.
CREATE FUNCTION vectorshard.due_partitions(policy text, OUT part regclass, OUT ended timestamptz) RETURNS SETOF record
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  p vectorshard.tier_policy;
  parent regclass := to_regclass(nullif(policy, ''));
  key_type regtype;
  upper_bound text;
BEGIN
  SELECT t.* INTO p FROM vectorshard.tier_policy t WHERE t.table_name = policy;
  IF policy = '' THEN
    RETURN;  -- of clients
  ELSIF parent IS NULL THEN
    RAISE undefined_table USING MESSAGE = format('table %s of a policy does not exist', policy), HINT = 'Make it, or delete the policy from vectorshard.tier_policy.';
  END IF;
  key_type := vectorshard.partition_time_type(parent);
  FOR part, upper_bound IN
    SELECT c.oid, substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([^']*)'\)$re$)
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r' AND NOT vectorshard.is_stub(c.oid)
     WHERE i.inhparent = parent
       AND NOT EXISTS (SELECT FROM vectorshard.tier_move m
                        WHERE m.kind = 'partition' AND m.subject = vectorshard.name_of(c.oid)
                          AND (m.state NOT IN ('done', 'failed') OR m.changed_at > now() - interval '1 hour'))
       AND NOT EXISTS (SELECT FROM vectorshard.segment s
                        WHERE s.kind = 'partition' AND s.state = 'live' AND s.table_name = vectorshard.name_of(c.oid))
     ORDER BY c.oid::regclass::text COLLATE "C" LOOP
    EXECUTE format('SELECT CAST(CAST($1 AS %s) AS timestamptz)', key_type) INTO ended USING upper_bound;
    IF ended <= now() - p.move_after THEN RETURN NEXT; END IF;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.due_partitions(text) IS 'internal: partitions that the policy of a table wants in its store now';

CREATE FUNCTION vectorshard.count_due_partitions(policy text) RETURNS bigint
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RETURN (SELECT count(*) FROM vectorshard.due_partitions(policy));
EXCEPTION WHEN undefined_table OR wrong_object_type THEN
  RETURN NULL;  -- the next pass says why
END $$;
COMMENT ON FUNCTION vectorshard.count_due_partitions(text) IS 'internal: how many partitions a policy wants moved now; null where its table is not what it was';
GRANT EXECUTE ON FUNCTION vectorshard.count_due_partitions(text) TO pg_monitor;

-- One policy does not stop another: what one cannot do stands in its row.
CREATE FUNCTION vectorshard.plan_due_partitions() RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  p record;
  due record;
  planned bigint;
  problem text;
BEGIN
  FOR p IN SELECT t.table_name, t.store FROM vectorshard.tier_policy t WHERE t.table_name <> '' AND NOT t.paused ORDER BY t.table_name LOOP
    problem := NULL;
    BEGIN
      FOR due IN SELECT d.part FROM vectorshard.due_partitions(p.table_name) d LOOP
        BEGIN
          planned := vectorshard.move_to_cold(due.part, p.store);
          UPDATE vectorshard.tier_move m SET detail = m.detail || jsonb_build_object('policy', p.table_name) WHERE m.move = planned;
        EXCEPTION WHEN feature_not_supported OR wrong_object_type OR undefined_object THEN
          problem := format('%s: %s', due.part, SQLERRM);
        END;
      END LOOP;
    EXCEPTION WHEN undefined_table OR wrong_object_type THEN
      problem := SQLERRM;
    END;
    UPDATE vectorshard.tier_policy t SET last_run = clock_timestamp(), last_error = problem WHERE t.table_name = p.table_name;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.plan_due_partitions() IS 'internal: plans the moves that policies of tables ask for';

CREATE FUNCTION vectorshard.ask_for_pass() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_ask_for_pass';
COMMENT ON FUNCTION vectorshard.ask_for_pass() IS 'internal: has the tiering worker make a pass over the policies; gives its number';

CREATE FUNCTION vectorshard.last_pass() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_last_pass';
COMMENT ON FUNCTION vectorshard.last_pass() IS 'internal: number of the last pass that was asked for and has been planned';

CREATE FUNCTION vectorshard.idle_clients(idle_s float8, store text, OUT client text, OUT idle interval) RETURNS SETOF record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_idle_clients';
COMMENT ON FUNCTION vectorshard.idle_clients(float8, text) IS
  'internal: clients of this home idle for idle_s of the clients'' clock (null: client_idle_s) that may go to the store, and for how long they have been';

CREATE FUNCTION vectorshard.client_sizes(clients text[], OUT client text, OUT table_name text, OUT rows bigint, OUT bytes bigint) RETURNS SETOF record
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_client_sizes';
COMMENT ON FUNCTION vectorshard.client_sizes(text[]) IS 'internal: rows of clients in the heap of each table, and about how many bytes they take';

CREATE VIEW vectorshard.tier_policies AS
  SELECT p.table_name, p.move_after, p.store,
         CASE p.table_name WHEN '' THEN p.due ELSE vectorshard.count_due_partitions(p.table_name) END AS due,
         coalesce(m.moving, 0) AS moving, p.moved + coalesce(m.moved, 0) AS moved,
         p.moved_rows + coalesce(m.rows, 0) AS rows, p.moved_bytes + coalesce(m.bytes, 0) AS bytes,
         p.paused, p.last_run, coalesce(p.last_error, m.error) AS last_error
    FROM vectorshard.tier_policy p
    LEFT JOIN LATERAL (
      SELECT count(*) FILTER (WHERE m.state NOT IN ('done', 'failed', 'grace')) AS moving, count(*) FILTER (WHERE m.state IN ('done', 'grace')) AS moved,
             sum(m.rows) FILTER (WHERE m.state IN ('done', 'grace'))::bigint AS rows, sum(m.bytes) FILTER (WHERE m.state IN ('done', 'grace'))::bigint AS bytes,
             (array_agg(format('%s: %s', m.subject, m.error) ORDER BY m.changed_at DESC) FILTER (WHERE m.error IS NOT NULL))[1] AS error
        FROM vectorshard.tier_move m WHERE m.direction = 'cold' AND m.detail ->> 'policy' = p.table_name) m ON true;
COMMENT ON VIEW vectorshard.tier_policies IS
  'policies of this node (table_name empty: clients): how much is due now, is being moved and was moved, and how the last pass went';

CREATE FUNCTION vectorshard.run_tiering(OUT move bigint, OUT kind text, OUT subject text, OUT store text) RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  pass bigint;
  last bigint;
  patience timestamptz := clock_timestamp() + interval '10 s';
BEGIN
  PERFORM vectorshard.require_member();
  IF NOT current_setting('vectorshard.tiering')::boolean THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'tiering is paused', DETAIL = 'The setting "vectorshard.tiering" is off.',
      HINT = 'Set it on in postgresql.conf or by ALTER SYSTEM, and reload.';
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE active_sql_transaction USING MESSAGE = 'run_tiering() cannot be called in this transaction',
      DETAIL = format('Its isolation level is %s: it would not see what is planned.', current_setting('transaction_isolation')),
      HINT = 'Call it in a transaction of the level READ COMMITTED.';
  END IF;
  SELECT coalesce(max(m.move), 0) INTO last FROM vectorshard.tier_move m;
  pass := vectorshard.ask_for_pass();
  WHILE vectorshard.last_pass() < pass LOOP
    IF clock_timestamp() > patience THEN
      RAISE NOTICE USING MESSAGE = 'the tiering worker is busy', DETAIL = 'It makes the pass when the step of the move that it is at has ended.',
        HINT = 'Look at vectorshard.tier_moves.';
      RETURN;
    END IF;
    PERFORM pg_sleep(0.02);
  END LOOP;
  RETURN QUERY SELECT m.move, m.kind, m.subject, m.store FROM vectorshard.tier_move m WHERE m.move > last AND m.detail ? 'policy' ORDER BY m.move;
END $$;
COMMENT ON FUNCTION vectorshard.run_tiering() IS 'makes a pass over the policies now; gives the moves that it planned, which then go on by themselves';
REVOKE ALL ON FUNCTION vectorshard.run_tiering() FROM PUBLIC;

-- A procedure, which holds no snapshot while it waits: the moves of partitions would wait for that snapshot. For COMMIT it may have no
-- SET clause.
CREATE PROCEDURE vectorshard.run_tiering_and_wait(INOUT planned bigint DEFAULT 0, INOUT moved bigint DEFAULT 0, INOUT failed bigint DEFAULT 0)
  LANGUAGE plpgsql AS $$
#variable_conflict use_variable
-- The search_path is pinned below, anew after each COMMIT.
DECLARE
  pass bigint;
  last bigint;
  problem record;
BEGIN
  COMMIT;  -- raises where it cannot wait
  SET LOCAL search_path = pg_catalog, vectorshard, pg_temp;
  PERFORM vectorshard.require_member();
  IF NOT current_setting('vectorshard.tiering')::boolean THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'tiering is paused', DETAIL = 'The setting "vectorshard.tiering" is off.',
      HINT = 'Set it on in postgresql.conf or by ALTER SYSTEM, and reload.';
  END IF;
  SELECT coalesce(max(m.move), 0) INTO last FROM vectorshard.tier_move m;
  pass := vectorshard.ask_for_pass();
  WHILE vectorshard.last_pass() < pass OR EXISTS (
      SELECT FROM vectorshard.tier_move m WHERE m.move > last AND m.detail ? 'policy' AND m.state NOT IN ('done', 'failed', 'grace')) LOOP
    COMMIT;
    SET LOCAL search_path = pg_catalog, vectorshard, pg_temp;
    PERFORM pg_sleep(0.05);
  END LOOP;
  FOR problem IN SELECT m.move, m.subject, m.error FROM vectorshard.tier_move m
                  WHERE m.move > last AND m.detail ? 'policy' AND m.state = 'failed' ORDER BY m.move LOOP
    RAISE WARNING USING MESSAGE = format('move %s of %s failed: %s', problem.move, problem.subject, problem.error);
  END LOOP;
  SELECT count(*), count(*) FILTER (WHERE m.state <> 'failed'), count(*) FILTER (WHERE m.state = 'failed') INTO planned, moved, failed
    FROM vectorshard.tier_move m WHERE m.move > last AND m.detail ? 'policy';
END $$;
COMMENT ON PROCEDURE vectorshard.run_tiering_and_wait(bigint, bigint, bigint) IS
  'makes a pass over the policies now and waits until what it planned lies in the store or has failed; gives how many moves';
REVOKE ALL ON PROCEDURE vectorshard.run_tiering_and_wait(bigint, bigint, bigint) FROM PUBLIC;

-- What run_tiering() would plan now.
CREATE FUNCTION vectorshard.expected_moves(OUT kind text, OUT subject text, OUT store text, OUT rows bigint, OUT heap_bytes bigint, OUT segment_bytes bigint,
  OUT month_before float8, OUT month_after float8, OUT refused text) RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  p vectorshard.tier_policy;
BEGIN
  PERFORM vectorshard.require_member();
  FOR p IN SELECT t.* FROM vectorshard.tier_policy t WHERE NOT t.paused ORDER BY t.table_name LOOP
    store := p.store;
    kind := CASE p.table_name WHEN '' THEN 'client' ELSE 'partition' END;
    FOR subject IN
      SELECT vectorshard.name_of(d.part) FROM vectorshard.due_partitions(p.table_name) d
      UNION ALL SELECT c.client FROM vectorshard.idle_clients(extract(epoch FROM p.move_after)::float8, CASE p.table_name WHEN '' THEN p.store END) c LOOP
      BEGIN
        refused := NULL;
        IF kind = 'client' THEN
          SELECT e.rows, e.heap_bytes, e.segment_bytes, e.month_before, e.month_after INTO rows, heap_bytes, segment_bytes, month_before, month_after
            FROM vectorshard.expected_move(subject, p.store) e;
        ELSE
          SELECT e.rows, e.heap_bytes, e.segment_bytes, e.month_before, e.month_after INTO rows, heap_bytes, segment_bytes, month_before, month_after
            FROM vectorshard.expected_move(subject::regclass, p.store) e;
        END IF;
      EXCEPTION WHEN feature_not_supported OR wrong_object_type OR undefined_object THEN
        refused := SQLERRM;
        rows := NULL; heap_bytes := NULL; segment_bytes := NULL; month_before := NULL; month_after := NULL;
      END;
      RETURN NEXT;
    END LOOP;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.expected_moves() IS
  'what run_tiering() would plan now: partitions and clients, how large, and what a month costs before and after; moves nothing';
REVOKE ALL ON FUNCTION vectorshard.expected_moves() FROM PUBLIC;

CREATE FUNCTION vectorshard.pause_tier_policy(partitioned_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  UPDATE vectorshard.tier_policy p SET paused = true WHERE p.table_name = coalesce(vectorshard.name_of(partitioned_table), '');
  IF NOT FOUND THEN PERFORM vectorshard.no_such_policy(partitioned_table); END IF;
END $$;
COMMENT ON FUNCTION vectorshard.pause_tier_policy(regclass) IS
  'keeps a policy (null: that of clients) from planning moves, and those that it has planned from beginning; one that has begun is taken back after its step, unless only the swap is missing';
REVOKE ALL ON FUNCTION vectorshard.pause_tier_policy(regclass) FROM PUBLIC;

CREATE FUNCTION vectorshard.resume_tier_policy(partitioned_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  UPDATE vectorshard.tier_policy p SET paused = false WHERE p.table_name = coalesce(vectorshard.name_of(partitioned_table), '');
  IF NOT FOUND THEN PERFORM vectorshard.no_such_policy(partitioned_table); END IF;
END $$;
COMMENT ON FUNCTION vectorshard.resume_tier_policy(regclass) IS 'lets a policy that was paused (null: that of clients) go on, and its moves';
REVOKE ALL ON FUNCTION vectorshard.resume_tier_policy(regclass) FROM PUBLIC;
