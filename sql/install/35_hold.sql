-- place, second half: holding. What a node holds, births, copies, evictions.

CREATE OR REPLACE FUNCTION vectorshard.birth_client(client text, OUT home int, OUT epoch bigint, OUT version bigint,
                                                    OUT born boolean)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  SET lock_timeout = '300ms'
  AS 'MODULE_PATHNAME', 'vectorshard_birth_client';
COMMENT ON FUNCTION vectorshard.birth_client(text) IS
  'internal: on a core node, makes a client that nobody knows, with this node as home, or finds it';
REVOKE ALL ON FUNCTION vectorshard.birth_client(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.copy_announce(client text, node int, generation bigint, state text,
                                                     version bigint)
  RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'vectorshard_copy_announce';
COMMENT ON FUNCTION vectorshard.copy_announce(text, int, bigint, text, bigint) IS
  'internal: a node says that it (soon) holds a client; live, holder, leaving, cold, absent, unknown or not_home';
REVOKE ALL ON FUNCTION vectorshard.copy_announce(text, int, bigint, text, bigint) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.copy_export(client text)
  RETURNS bytea LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'vectorshard_copy_export';
COMMENT ON FUNCTION vectorshard.copy_export(text) IS
  'internal: all rows of a client, read after everything decoded is visible; null if it is not resident here';
REVOKE ALL ON FUNCTION vectorshard.copy_export(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.copy_export(client text, digest text)
  RETURNS bytea LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'vectorshard_copy_export';
COMMENT ON FUNCTION vectorshard.copy_export(text, text) IS
  'internal: as copy_export(client), but empty if the rows have this digest: the asker has them all';
REVOKE ALL ON FUNCTION vectorshard.copy_export(text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.evict_handshake(client text, node int, epoch bigint, digest text, sent boolean,
                                                       debts int[])
  RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'vectorshard_evict_handshake';
COMMENT ON FUNCTION vectorshard.evict_handshake(text, int, bigint, text, boolean, int[]) IS
  'internal: asks the home whether it holds all that a node holds and takes over its debts; ok, send, or why not';
REVOKE ALL ON FUNCTION vectorshard.evict_handshake(text, int, bigint, text, boolean, int[]) FROM PUBLIC;

-- The holder finds the wishes for its own node and the copies under way by index.
CREATE INDEX wish_node ON vectorshard.wish (node, until);
CREATE INDEX holder_unfinished ON vectorshard.holder (node) WHERE state IN ('copying', 'gone');

CREATE OR REPLACE FUNCTION vectorshard.wake_holder() RETURNS trigger LANGUAGE c
  AS 'MODULE_PATHNAME', 'vectorshard_wake_holder';
COMMENT ON FUNCTION vectorshard.wake_holder() IS 'internal: wakes the holder worker when the transaction commits';
REVOKE ALL ON FUNCTION vectorshard.wake_holder() FROM PUBLIC;

-- ALWAYS: wishes of other nodes come by apply, in role replica.
CREATE TRIGGER wake_holder AFTER INSERT OR UPDATE ON vectorshard.wish
  FOR EACH ROW WHEN (NEW.node = vectorshard.self_node()) EXECUTE FUNCTION vectorshard.wake_holder();
ALTER TABLE vectorshard.wish ENABLE ALWAYS TRIGGER wake_holder;
CREATE TRIGGER wake_holder AFTER INSERT OR UPDATE ON vectorshard.shard_table
  FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.wake_holder();
ALTER TABLE vectorshard.shard_table ENABLE ALWAYS TRIGGER wake_holder;

CREATE OR REPLACE FUNCTION vectorshard.core_nodes_by_distance(self int) RETURNS TABLE (node int)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT n.node FROM vectorshard.node n LEFT JOIN vectorshard.node me ON me.node = core_nodes_by_distance.self
     WHERE n.kind = 'core' AND n.state = 'active' AND n.node <> core_nodes_by_distance.self
     ORDER BY ST_DistanceSphere(n.location, me.location), n.node;
  END;
COMMENT ON FUNCTION vectorshard.core_nodes_by_distance(int) IS 'internal: active core nodes but the given one, nearest to it first';
REVOKE ALL ON FUNCTION vectorshard.core_nodes_by_distance(int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.pin_name(client text, node int, planner int) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT vectorshard.policy_name('place', pin_name.client, 'on ' || vectorshard.node_word(pin_name.node), pin_name.planner);
  END;
COMMENT ON FUNCTION vectorshard.pin_name(text, int, int) IS 'internal: key of the policy row that place() writes';
REVOKE ALL ON FUNCTION vectorshard.pin_name(text, int, int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.place(client text, node text, until timestamptz DEFAULT now() + interval '1 hour')
  RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  self int := vectorshard.self_node();
  target vectorshard.node;
  pin text;
BEGIN
  IF place.client IS NULL OR place.node IS NULL OR place.until IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'client, node and until must not be null',
      HINT = 'Leave until out to pin for an hour.';
  END IF;
  IF self = 0 THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'this database is not in a fabric',
      HINT = 'Call vectorshard.create_fabric() or vectorshard.join_fabric() first.';
  END IF;
  SELECT n.* INTO target FROM vectorshard.node n WHERE n.name = place.node;
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('node "%s" does not exist', place.node),
      DETAIL = format('Nodes: %s.', (SELECT string_agg(n.name, ', ' ORDER BY n.node) FROM vectorshard.node n
                                      WHERE n.state = 'active')),
      HINT = 'Give a name from the view vectorshard.nodes.';
  END IF;
  IF target.state <> 'active' THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('node "%s" is %s', place.node, target.state),
      HINT = 'Give an active node from the view vectorshard.nodes.';
  END IF;
  IF NOT EXISTS (SELECT FROM vectorshard.client c WHERE c.client = place.client) THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', place.client),
      DETAIL = 'A client is known once a row of it was inserted on some node.',
      HINT = 'Insert a row of the client first.';
  END IF;
  IF place.until > now() THEN
    PERFORM vectorshard.require_allowed(place.client, target.node);
  END IF;
  pin := vectorshard.pin_name(place.client, target.node, self);
  -- The policy makes planners keep the pin; the wish makes the node obey at once.
  INSERT INTO vectorshard.policy (policy, client, kind, node, valid_from, valid_to, _version)
  VALUES (pin, place.client, 'pin', target.node, now(), place.until, 0)
  ON CONFLICT (policy) DO UPDATE SET node = excluded.node, valid_from = excluded.valid_from, valid_to = excluded.valid_to;
  INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version)
  VALUES (place.client, target.node, self, place.until, format('pinned by %s', session_user), 0)
  ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until, reason = excluded.reason, value = excluded.value, eta = NULL;
  RETURN pin;
END
$$;
COMMENT ON FUNCTION vectorshard.place(text, text, timestamptz) IS
  'pins a client onto a node until a time; a time that has passed ends a pin given on this node; the name of the policy';
REVOKE ALL ON FUNCTION vectorshard.place(text, text, timestamptz) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.evict(client text) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'vectorshard_evict';
COMMENT ON FUNCTION vectorshard.evict(text) IS
  'lets this node''s copy of a client go now, after its home has confirmed that it holds everything';
REVOKE ALL ON FUNCTION vectorshard.evict(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.copy_time_ms(node int) RETURNS float8
  LANGUAGE c VOLATILE STRICT PARALLEL SAFE
  AS 'MODULE_PATHNAME', 'vectorshard_copy_time_ms';
COMMENT ON FUNCTION vectorshard.copy_time_ms(int) IS
  'milliseconds a copy from the given node to this one took lately (moving average); null: not measured';
REVOKE ALL ON FUNCTION vectorshard.copy_time_ms(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.copy_time_ms(int) TO pg_monitor;

CREATE FUNCTION vectorshard.copy_jobs_from() RETURNS TABLE (source int, jobs bigint, copies bigint)
  LANGUAGE c VOLATILE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'vectorshard_copy_jobs_from';
COMMENT ON FUNCTION vectorshard.copy_jobs_from() IS 'internal: jobs by which copies came to this node, by the number of the node that they came from';
REVOKE ALL ON FUNCTION vectorshard.copy_jobs_from() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.copy_jobs_from() TO pg_monitor;

CREATE VIEW vectorshard.copy_jobs AS
  SELECT n.name AS source, j.jobs, j.copies, j.copies::float8 / j.jobs AS copies_a_job
    FROM vectorshard.copy_jobs_from() j LEFT JOIN vectorshard.node n ON n.node = j.source;
COMMENT ON VIEW vectorshard.copy_jobs IS 'how many jobs brought copies to this node since the server started, from where, and how many copies shared one';
