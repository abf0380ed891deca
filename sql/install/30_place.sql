-- Place, first half: deciding. Policies, what wakes the navigator, and views of what it decided and how it fared.
-- Holding is in 35_hold.sql.

CREATE INDEX policy_client ON vectorshard.policy (client);

CREATE FUNCTION vectorshard.tell_navigator() RETURNS trigger LANGUAGE c
  AS 'MODULE_PATHNAME', 'vectorshard_tell_navigator';
COMMENT ON FUNCTION vectorshard.tell_navigator() IS 'internal: lets the navigator look at a client again when the transaction commits';
REVOKE ALL ON FUNCTION vectorshard.tell_navigator() FROM PUBLIC;

-- ALWAYS: rows of other nodes come by apply, in role replica.
CREATE TRIGGER tell_navigator AFTER INSERT OR UPDATE ON vectorshard.wish
  FOR EACH ROW WHEN (NEW.planner = NEW.node AND NEW.reason = 'serves the client')
  EXECUTE FUNCTION vectorshard.tell_navigator();
ALTER TABLE vectorshard.wish ENABLE ALWAYS TRIGGER tell_navigator;
CREATE TRIGGER tell_navigator AFTER INSERT OR UPDATE ON vectorshard.policy
  FOR EACH ROW EXECUTE FUNCTION vectorshard.tell_navigator();
ALTER TABLE vectorshard.policy ENABLE ALWAYS TRIGGER tell_navigator;

CREATE FUNCTION vectorshard.count_copy() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'vectorshard_count_copy';
COMMENT ON FUNCTION vectorshard.count_copy() IS 'internal: counts the copies of this node for placement_quality';
REVOKE ALL ON FUNCTION vectorshard.count_copy() FROM PUBLIC;
CREATE TRIGGER count_copy AFTER UPDATE ON vectorshard.holder
  FOR EACH ROW WHEN (OLD.state = 'copying' AND NEW.state = 'live' OR OLD.state = 'live' AND NEW.state = 'gone')
  EXECUTE FUNCTION vectorshard.count_copy();
ALTER TABLE vectorshard.holder ENABLE ALWAYS TRIGGER count_copy;

-- PostGIS may lie in any schema: the body is bound now.
CREATE FUNCTION vectorshard.policies_of(clients text[])
  RETURNS TABLE (client text, policy text, kind text, node int, lat float8, lon float8, valid_from timestamptz,
                 valid_to timestamptz, _version bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT p.client, p.policy, p.kind, p.node, ST_Y(p.place), ST_X(p.place), p.valid_from, p.valid_to, p._version
      FROM vectorshard.policy p
     WHERE p.client = ANY (policies_of.clients) AND p.valid_to > pg_catalog.now();
  END;
COMMENT ON FUNCTION vectorshard.policies_of(text[]) IS 'internal: policies of clients that have not ended';
REVOKE ALL ON FUNCTION vectorshard.policies_of(text[]) FROM PUBLIC;

CREATE FUNCTION vectorshard.set_policy(kind text, client text, node text, valid_from timestamptz, valid_to timestamptz)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  self int := vectorshard.self_node();
  target vectorshard.node;
BEGIN
  IF client IS NULL OR node IS NULL OR valid_from IS NULL OR valid_to IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'client, node, valid_from and valid_to must not be null',
      HINT = 'Leave valid_from and valid_to out for the next hour.';
  END IF;
  PERFORM vectorshard.require_member();
  IF valid_to > now() AND valid_from >= valid_to THEN
    RAISE invalid_parameter_value USING MESSAGE = format('the time of the %s is empty', kind),
      DETAIL = format('It begins at %s and ends at %s.', valid_from, valid_to),
      HINT = 'Give a valid_to after valid_from; a valid_to that has passed ends what was given on this node before.';
  END IF;
  SELECT n.* INTO target FROM vectorshard.node n WHERE n.name = node AND n.state = 'active';
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('node "%s" does not exist', node),
      DETAIL = format('Nodes: %s.', (SELECT string_agg(n.name, ', ' ORDER BY n.node) FROM vectorshard.node n
                                      WHERE n.state = 'active')),
      HINT = 'Give a name from the view vectorshard.nodes.';
  END IF;
  IF NOT EXISTS (SELECT FROM vectorshard.client c WHERE c.client = client) THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', client),
      DETAIL = 'A client is known once a row of it was inserted on some node.',
      HINT = 'Insert a row of the client first.';
  END IF;
  INSERT INTO vectorshard.policy (policy, client, kind, node, valid_from, valid_to, _version)
  VALUES (format('%s %s on %s by %s', kind, client, target.node, self), client, kind, target.node, valid_from, valid_to, 0)
  ON CONFLICT (policy) DO UPDATE SET valid_from = excluded.valid_from, valid_to = excluded.valid_to;
  IF kind = 'hint' AND valid_to <= now() THEN
    UPDATE vectorshard.wish w SET until = now(), reason = 'the hint was ended'
     WHERE w.client = client AND w.node = target.node AND w.planner = self AND w.until > now()
       AND starts_with(w.reason, 'expected there by hint');
  END IF;
END
$$;
COMMENT ON FUNCTION vectorshard.set_policy(text, text, text, timestamptz, timestamptz) IS 'internal: what hint() and forbid() do';
REVOKE ALL ON FUNCTION vectorshard.set_policy(text, text, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.hint(client text, node text, valid_from timestamptz DEFAULT now(),
                                 valid_to timestamptz DEFAULT now() + interval '1 hour') RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$ BEGIN PERFORM vectorshard.set_policy('hint', client, node, valid_from, valid_to); END $$;
COMMENT ON FUNCTION vectorshard.hint(text, text, timestamptz, timestamptz) IS
  'tells that the client will be needed on a node from a time to another: its rows are there when that begins';
REVOKE ALL ON FUNCTION vectorshard.hint(text, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.forbid(client text, node text, valid_from timestamptz DEFAULT now(),
                                   valid_to timestamptz DEFAULT 'infinity') RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$ BEGIN PERFORM vectorshard.set_policy('never', client, node, valid_from, valid_to); END $$;
COMMENT ON FUNCTION vectorshard.forbid(text, text, timestamptz, timestamptz) IS
  'forbids planners to wish a client onto a node';
REVOKE ALL ON FUNCTION vectorshard.forbid(text, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.explain_placement(client text)
  RETURNS TABLE (node text, probability float8, eta_s float8, lead_s float8, decision text, reason text)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 4 AS 'MODULE_PATHNAME', 'vectorshard_explain_placement';
COMMENT ON FUNCTION vectorshard.explain_placement(text) IS
  'what this node''s navigator decides about a client now, and why; and what other planners wish';
REVOKE ALL ON FUNCTION vectorshard.explain_placement(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.explain_placement(text) TO pg_monitor;

CREATE VIEW vectorshard.placements AS
  SELECT k.client, n.name AS node, coalesce(h.state, 'wished') AS state, w.until AS wished_until, w.reason,
         pn.name AS planner, hn.name AS home, k.node = c.home AS is_home,
         to_timestamp(((h.generation >> 22) + 1577836800000) / 1000.0) AS held_since
    FROM (SELECT client, node FROM vectorshard.holder WHERE state <> 'gone'
          UNION SELECT client, node FROM vectorshard.wish WHERE until > now()) k
    LEFT JOIN vectorshard.holder h ON h.client = k.client AND h.node = k.node AND h.state <> 'gone'
    LEFT JOIN LATERAL (SELECT until, reason, planner FROM vectorshard.wish
                        WHERE client = k.client AND node = k.node AND until > now()
                        ORDER BY until DESC LIMIT 1) w ON true
    LEFT JOIN vectorshard.client c ON c.client = k.client
    LEFT JOIN vectorshard.node n ON n.node = k.node
    LEFT JOIN vectorshard.node pn ON pn.node = w.planner
    LEFT JOIN vectorshard.node hn ON hn.node = c.home;
COMMENT ON VIEW vectorshard.placements IS 'which nodes hold each client, or are wished to, until when, why, and by whom';

CREATE FUNCTION vectorshard.placement_counters()
  RETURNS TABLE (arrivals bigint, hits bigint, copies bigint, wasted bigint, wishes bigint, active bigint, dropped bigint)
  LANGUAGE c VOLATILE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'vectorshard_placement_counters';
COMMENT ON FUNCTION vectorshard.placement_counters() IS 'internal: what placement_quality shows, since the server started';
REVOKE ALL ON FUNCTION vectorshard.placement_counters() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vectorshard.placement_counters() TO pg_monitor;

CREATE VIEW vectorshard.placement_quality AS
  SELECT n.name AS node, q.arrivals, q.hits, q.arrivals - q.hits AS misses,
         q.hits::float8 / nullif(q.arrivals, 0) AS hit_ratio, q.copies, q.wasted AS wasted_copies, q.wishes,
         q.active AS active_clients, held.copies AS copies_held,
         greatest(held.copies - q.active, 0)::float8 / nullif(q.active, 0) AS surplus_per_active_client,
         q.dropped AS motion_dropped
    FROM vectorshard.placement_counters() q
    LEFT JOIN vectorshard.node n ON n.node = vectorshard.self_node()
    CROSS JOIN (SELECT count(*) AS copies FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client
                 WHERE c.home <> vectorshard.self_node()) held;
COMMENT ON VIEW vectorshard.placement_quality IS 'how placement fares on this node since the server started';
