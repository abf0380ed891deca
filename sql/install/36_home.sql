-- place, third part: homes that move, and nodes that leave (docs/architecture.md, "Moving a home", "Leaving the fabric").

CREATE TABLE vectorshard.home_move (
  client     text COLLATE "C" PRIMARY KEY,
  to_node    int NOT NULL,
  asked      boolean NOT NULL DEFAULT false,
  since      timestamptz NOT NULL DEFAULT now(),
  last_error text,
  asked_at   timestamptz
);
COMMENT ON TABLE vectorshard.home_move IS 'clients whose home is here and is to move; local, gone once it has';
SELECT pg_catalog.pg_extension_config_dump('vectorshard.home_move', '');
CREATE TRIGGER wake_holder AFTER INSERT OR UPDATE ON vectorshard.home_move
  FOR EACH STATEMENT EXECUTE FUNCTION vectorshard.wake_holder();

-- Steps of moves: that a node was asked, that it took a home, that the former home knows. Read by scans of all homes (src/pg/read/home_moves.cpp,
-- home_marks.cpp).
CREATE TABLE vectorshard.home_event (
  event      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  client     text COLLATE "C" NOT NULL,
  taken_from int,
  taken      bigint
);
CREATE INDEX home_event_at ON vectorshard.home_event (at);
COMMENT ON TABLE vectorshard.home_event IS 'steps of moves of homes from or to this node within the last hour; local';

CREATE OR REPLACE FUNCTION vectorshard.note_home_event(client text, taken_from int DEFAULT NULL, taken bigint DEFAULT NULL) RETURNS void
  LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  DELETE FROM vectorshard.home_event WHERE at < now() - interval '1 hour';
  INSERT INTO vectorshard.home_event (client, taken_from, taken) VALUES (note_home_event.client, note_home_event.taken_from, note_home_event.taken);
$$;
COMMENT ON FUNCTION vectorshard.note_home_event(text, int, bigint) IS
  'internal: notes a step of a move of a home, in the transaction that makes it; of one that takes the home, from whom and for which epoch';
REVOKE ALL ON FUNCTION vectorshard.note_home_event(text, int, bigint) FROM PUBLIC;

-- Two nodes that take a home for one epoch would both be it: nobody else is asked until the one that was asked has refused, or is removed itself.
CREATE TABLE vectorshard.home_asked (
  client text COLLATE "C" PRIMARY KEY,
  node   int,
  epoch  bigint NOT NULL
);
COMMENT ON TABLE vectorshard.home_asked IS
  'at the registrar: whom it asked to take the home of a client whose home was removed, and after which epoch; local, gone once it has';
SELECT pg_catalog.pg_extension_config_dump('vectorshard.home_asked', '');

-- Few clients ever move: whoever merges a change asks by this index whether its client is one.
CREATE INDEX client_moved ON vectorshard.client (client) WHERE epoch > 1;

CREATE OR REPLACE FUNCTION vectorshard.become_home(client text, from_node int, epoch bigint, digest text, sent boolean)
  RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_become_home';
COMMENT ON FUNCTION vectorshard.become_home(text, int, bigint, text, boolean) IS
  'internal: the home of an epoch, which has fenced the client, hands it over; ok, send, or why not';
REVOKE ALL ON FUNCTION vectorshard.become_home(text, int, bigint, text, boolean) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.take_home(client text, from_node int, epoch bigint, alone boolean)
  RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_take_home';
COMMENT ON FUNCTION vectorshard.take_home(text, int, bigint, boolean) IS
  'internal: makes this node the home of a client whose home was removed; alone: though nobody holds it';
REVOKE ALL ON FUNCTION vectorshard.take_home(text, int, bigint, boolean) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.confirm_home(client text, home int, epoch bigint, lost int) RETURNS bigint
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_confirm_home';
COMMENT ON FUNCTION vectorshard.confirm_home(text, int, bigint, int) IS
  'internal, at the registrar: under which epoch a home goes on that asked a node to be the next which was removed since; 0: not, or not yet';
REVOKE ALL ON FUNCTION vectorshard.confirm_home(text, int, bigint, int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION vectorshard.move_home(client text, to_node text, force boolean DEFAULT false)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  target vectorshard.node;
  present vectorshard.client;
  home vectorshard.node;
BEGIN
  PERFORM vectorshard.require_member();
  IF move_home.client IS NULL OR move_home.to_node IS NULL OR move_home.force IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'client, to_node and force must not be null', HINT = 'Leave force out for false.';
  END IF;
  SELECT n.* INTO target FROM vectorshard.node n WHERE n.name = move_home.to_node AND n.state <> 'removed';
  IF target.state IS DISTINCT FROM 'active' OR target.kind <> 'core' THEN
    RAISE invalid_parameter_value USING MESSAGE = format('node "%s" cannot be a home', move_home.to_node),
      DETAIL = CASE WHEN target.node IS NULL THEN 'There is no such node.' WHEN target.kind <> 'core' THEN 'It is an edge node.' ELSE 'It is leaving the fabric.' END,
      HINT = 'Give an active core node from the view vectorshard.nodes.';
  END IF;
  SELECT c.* INTO present FROM vectorshard.client c WHERE c.client = move_home.client;
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', move_home.client),
      HINT = 'Give a client from the view vectorshard.placements.';
  END IF;
  IF present.home = target.node THEN RETURN; END IF;
  IF NOT move_home.force THEN PERFORM vectorshard.require_allowed(move_home.client, target.node); END IF;
  SELECT n.* INTO home FROM vectorshard.node n WHERE n.node = present.home;
  IF home.state = 'removed' AND NOT move_home.force THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('home of client "%s" was removed', move_home.client),
      DETAIL = format('It was node "%s"; what that node alone had is lost.', home.name),
      HINT = 'The registrar gives such clients a new home by itself; or call move_home(…, force => true) with a node that holds the client.';
  ELSIF home.state <> 'removed' AND move_home.force THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('home of client "%s" is in the fabric', move_home.client),
      DETAIL = format('It is node "%s", state %s: it may go on as home where this node cannot see it.', home.name, home.state),
      HINT = format('Move it without force, or stop that node for good and call remove_node(%L, force => true) on the registrar first.', home.name);
  ELSIF move_home.force THEN
    PERFORM FROM vectorshard.ask_node(target.node, format('SELECT vectorshard.take_home(%L, %s, %s, false)', move_home.client, present.home, present.epoch));
  ELSIF present.home <> vectorshard.self_node() THEN
    PERFORM FROM vectorshard.ask_node(present.home, format('SELECT vectorshard.peer_move_home(%L, %L)', move_home.client, move_home.to_node));
  ELSE
    INSERT INTO vectorshard.home_move AS m (client, to_node) VALUES (move_home.client, target.node)
      ON CONFLICT (client) DO UPDATE SET to_node = excluded.to_node, last_error = NULL WHERE NOT m.asked OR m.to_node = excluded.to_node;
    IF NOT FOUND THEN
      RAISE object_in_use USING MESSAGE = format('home of client "%s" is just moving', move_home.client),
        DETAIL = 'Another node was asked to be the home, and has not answered yet.', HINT = 'Retry when it has.';
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION vectorshard.move_home(text, text, boolean) IS
  'has the home of a client move to a core node; it is copied there first. force: its home was removed';
REVOKE ALL ON FUNCTION vectorshard.move_home(text, text, boolean) FROM PUBLIC;

-- At the registrar: a node that is leaving says that nothing is left of it. Its homes must be known here to have moved, or
-- they would be taken for those of a node that was lost.
CREATE OR REPLACE FUNCTION vectorshard.node_left(p_node int, p_uuid uuid) RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  n vectorshard.node;
BEGIN
  SELECT * INTO n FROM vectorshard.node WHERE node = p_node AND uuid = p_uuid FOR UPDATE;
  IF n.state = 'leaving' AND NOT EXISTS (SELECT FROM vectorshard.client WHERE home = p_node) THEN
    UPDATE vectorshard.node SET state = 'removed' WHERE node = p_node RETURNING state INTO n.state;
    -- What it had not delivered to nodes that are away is here: every node holds these tables in full.
    INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
      SELECT o.node, '', t FROM vectorshard.node o CROSS JOIN (
               SELECT 'vectorshard.' || t FROM unnest(ARRAY['shard_table', 'client', 'wish', 'holder', 'policy', 'store', 'segment', 'erasure', 'node_state', 'price', 'quality', 'ddl']) t
               UNION ALL SELECT s.table_name FROM vectorshard.shard_table s WHERE s.kind = 'reference' AND s.state = 'enrolled') AS a(t)
       WHERE o.state <> 'removed' AND o.node <> vectorshard.self_node()
      ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error;
  END IF;
  RETURN coalesce(n.state = 'removed', false);
END $$;
COMMENT ON FUNCTION vectorshard.node_left(int, uuid) IS 'internal: a node that is leaving has nothing left; true: it is removed';
REVOKE ALL ON FUNCTION vectorshard.node_left(int, uuid) FROM PUBLIC;
