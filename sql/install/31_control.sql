-- Place: policies. What operators and applications demand of placement: hints, bans, regions, geofences, copies, tiers.
-- They bind the planners, and a holder itself refuses what they forbid (src/pg/place/policies.cpp).

CREATE FUNCTION vectorshard.policies_of(clients text[])
  RETURNS TABLE (client text, policy text, kind text, node int, lat float8, lon float8, nodes int[], fenced boolean, copies int,
                 valid_from timestamptz, valid_to timestamptz, given_at int)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH p AS MATERIALIZED (
      SELECT p.*, CASE p.kind WHEN 'region' THEN vectorshard.nodes_in(p.area) END AS nodes FROM vectorshard.policy p
       WHERE (p.client = ANY (policies_of.clients) OR p.client = '') AND p.valid_to > pg_catalog.now() AND p.kind NOT IN ('inside', 'tier'))
    SELECT c.client, p.policy, p.kind, p.node, ST_Y(p.place), ST_X(p.place), p.nodes, p.while_in IS NOT NULL, p.copies, p.valid_from, p.valid_to,
           (p._version & 1023)::int
      FROM p CROSS JOIN LATERAL unnest(CASE p.client WHEN '' THEN policies_of.clients ELSE ARRAY[p.client] END) AS c (client)
     WHERE p.while_in IS NULL
        OR EXISTS (SELECT FROM vectorshard.policy i
                    WHERE i.client = c.client AND i.kind = 'inside' AND i.fence = p.policy AND i.valid_to > pg_catalog.now());
  END;
COMMENT ON FUNCTION vectorshard.policies_of(text[]) IS 'internal: policies of clients that have not ended, as the planner needs them';

-- Where a client is stands in rows "inside", which all nodes have; the node that serves it writes them when that changes.
CREATE FUNCTION vectorshard.fences_of(clients text[], lons float8[], lats float8[], ahead_lons float8[], ahead_lats float8[])
  RETURNS TABLE (client text, policy text, nodes int[], valid_from timestamptz, valid_to timestamptz, inside boolean,
                 ahead boolean, noted boolean)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH p AS MATERIALIZED (
      SELECT p.*, vectorshard.nodes_in(p.area) AS nodes FROM vectorshard.policy p
       WHERE (p.client = ANY (fences_of.clients) OR p.client = '') AND p.kind = 'region' AND p.while_in IS NOT NULL
         AND p.valid_from <= pg_catalog.now() AND p.valid_to > pg_catalog.now())
    SELECT c.client, p.policy, p.nodes, p.valid_from, p.valid_to,
           ST_Covers(p.while_in, ST_SetSRID(ST_MakePoint(c.lon, c.lat), 4326)),
           ST_Covers(p.while_in, ST_SetSRID(ST_MakePoint(c.ahead_lon, c.ahead_lat), 4326)),
           EXISTS (SELECT FROM vectorshard.policy i
                    WHERE i.client = c.client AND i.kind = 'inside' AND i.fence = p.policy AND i.valid_to > pg_catalog.now())
      FROM p CROSS JOIN LATERAL unnest(CASE p.client WHEN '' THEN fences_of.clients ELSE ARRAY[p.client] END) AS e (client)
      JOIN unnest(fences_of.clients, fences_of.lons, fences_of.lats, fences_of.ahead_lons, fences_of.ahead_lats)
        AS c (client, lon, lat, ahead_lon, ahead_lat) ON c.client = e.client;
  END;
COMMENT ON FUNCTION vectorshard.fences_of(text[], float8[], float8[], float8[], float8[]) IS
  'internal: for each client and each region that holds within a geofence: is the client in there, will it be, and what is known of that';

CREATE FUNCTION vectorshard.bans_of(clients text[], at_node int) RETURNS TABLE (client text, policy text)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH p AS MATERIALIZED (
      SELECT p.* FROM vectorshard.policy p
       WHERE (p.client = ANY (bans_of.clients) OR p.client = '') AND p.valid_from <= pg_catalog.now() AND p.valid_to > pg_catalog.now()
         AND (p.kind = 'never' AND p.node = bans_of.at_node
              OR p.kind = 'region' AND NOT bans_of.at_node = ANY (vectorshard.nodes_in(p.area))))
    SELECT c.client, min(p.policy)
      FROM p CROSS JOIN LATERAL unnest(CASE p.client WHEN '' THEN bans_of.clients ELSE ARRAY[p.client] END) AS c (client)
     WHERE p.while_in IS NULL
        OR EXISTS (SELECT FROM vectorshard.policy i
                    WHERE i.client = c.client AND i.kind = 'inside' AND i.fence = p.policy AND i.valid_to > pg_catalog.now())
     GROUP BY c.client;
  END;
COMMENT ON FUNCTION vectorshard.bans_of(text[], int) IS 'internal: of these clients, those that a policy keeps off a node now, and which';

CREATE FUNCTION vectorshard.require_allowed(client text, node int) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  ban text := (SELECT b.policy FROM vectorshard.bans_of(ARRAY[client], node) b);
BEGIN
  IF ban IS NOT NULL THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('client "%s" may not be on node "%s"', client,
                                                                (SELECT n.name FROM vectorshard.node n WHERE n.node = node)),
      DETAIL = format('Policy "%s" forbids it.', ban),
      HINT = 'Use another node, or end the policy with vectorshard.end_policy().';
  END IF;
END
$$;
COMMENT ON FUNCTION vectorshard.require_allowed(text, int) IS 'internal: raises if a policy keeps the client off the node now';

CREATE FUNCTION vectorshard.check_policy(client text, valid_from timestamptz, valid_to timestamptz, every_client boolean)
  RETURNS void LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  IF valid_from IS NULL OR valid_to IS NULL OR (client IS NULL AND NOT every_client) THEN
    RAISE null_value_not_allowed USING MESSAGE = CASE WHEN every_client THEN 'valid_from and valid_to must not be null'
                                                      ELSE 'client, valid_from and valid_to must not be null' END,
      HINT = 'Leave valid_from and valid_to out for their defaults.';
  END IF;
  PERFORM vectorshard.require_member();
  IF valid_to > now() AND valid_from >= valid_to THEN
    RAISE invalid_parameter_value USING MESSAGE = 'the time of the policy is empty',
      DETAIL = format('It begins at %s and ends at %s.', valid_from, valid_to),
      HINT = 'Give a valid_to after valid_from; a valid_to that has passed ends the policy.';
  END IF;
  IF client IS NOT NULL AND NOT EXISTS (SELECT FROM vectorshard.client c WHERE c.client = client) THEN
    RAISE undefined_object USING MESSAGE = format('client "%s" is not known', client),
      DETAIL = 'A client is known once a row of it was inserted on some node.',
      HINT = 'Insert a row of the client first.';
  END IF;
END
$$;
COMMENT ON FUNCTION vectorshard.check_policy(text, timestamptz, timestamptz, boolean) IS
  'internal: raises unless client and times of a policy make sense; every_client: client may be null';

CREATE FUNCTION vectorshard.node_of(node text) RETURNS int
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  number int := (SELECT n.node FROM vectorshard.node n WHERE n.name = node AND n.state = 'active');
BEGIN
  IF node IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'node must not be null', HINT = 'Give a name from the view vectorshard.nodes.';
  ELSIF number IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('node "%s" does not exist', node),
      DETAIL = format('Nodes: %s.', (SELECT string_agg(n.name, ', ' ORDER BY n.node) FROM vectorshard.node n
                                      WHERE n.state = 'active')),
      HINT = 'Give a name from the view vectorshard.nodes.';
  END IF;
  RETURN number;
END
$$;
COMMENT ON FUNCTION vectorshard.node_of(text) IS 'internal: the number of an active node; raises if there is none of that name';

-- The wishes by which this node obeyed a policy that was ended: the others plan anew, or run out.
CREATE FUNCTION vectorshard.end_wishes_of(policy text) RETURNS void
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    UPDATE vectorshard.wish w SET until = now(), reason = 'the ' || p.kind || ' was ended'
      FROM vectorshard.policy p
     WHERE p.policy = end_wishes_of.policy AND w.client = p.client AND w.planner = vectorshard.self_node() AND w.until > now()
       AND (w.reason = 'expected there by ' || p.policy OR w.reason = 'pinned by policy ' || p.policy
            OR p.kind = 'pin' AND w.node = p.node AND starts_with(w.reason, 'pinned by '));
  END;
COMMENT ON FUNCTION vectorshard.end_wishes_of(text) IS 'internal: ends the wishes that this node wrote for a hint or pin';

-- A home keeps its clients whatever is forbidden: somebody must have the rows.
CREATE FUNCTION vectorshard.warn_of_homes(policy text) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  p vectorshard.policy;
  allowed int[];
  homes bigint;
  one text;
BEGIN
  SELECT q.* INTO p FROM vectorshard.policy q WHERE q.policy = policy;
  IF p.valid_to <= now() THEN RETURN; END IF;
  allowed := CASE p.kind WHEN 'region' THEN vectorshard.nodes_in(p.area)
                         ELSE ARRAY(SELECT n.node FROM vectorshard.node n WHERE n.node <> p.node) END;
  SELECT count(*), min(c.client) INTO homes, one
    FROM vectorshard.client c WHERE (p.client = '' OR c.client = p.client) AND NOT c.home = ANY (allowed);
  IF homes > 0 THEN
    RAISE WARNING USING MESSAGE = format('policy "%s" does not move homes', policy),
      DETAIL = format('Clients whose home is where the policy does not let them be: %s, for example "%s".', homes, one),
      HINT = CASE WHEN EXISTS (SELECT FROM vectorshard.node n WHERE n.node = ANY (allowed) AND n.state = 'active' AND n.kind = 'core') THEN 'Move them with vectorshard.move_home(client, to_node).'
                  ELSE 'The policy allows no active core node to which vectorshard.move_home() could move them.' END;
  END IF;
END
$$;
COMMENT ON FUNCTION vectorshard.warn_of_homes(text) IS 'internal: warns if clients of a ban or region have their home on a node that it forbids';

-- The same policy given again: its times anew, how many copies, and the node, as one that left may have had its name.
CREATE FUNCTION vectorshard.give_policy(policy text, client text, kind text, valid_from timestamptz, valid_to timestamptz, node int DEFAULT NULL,
                                        place geometry DEFAULT NULL, area geometry DEFAULT NULL, while_in geometry DEFAULT NULL,
                                        copies int DEFAULT NULL, tier text DEFAULT NULL) RETURNS void
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    INSERT INTO vectorshard.policy (policy, client, kind, valid_from, valid_to, node, place, area, while_in, copies, tier, _version)
    VALUES (give_policy.policy, coalesce(give_policy.client, ''), give_policy.kind, give_policy.valid_from, give_policy.valid_to, give_policy.node,
            give_policy.place, give_policy.area, give_policy.while_in, give_policy.copies, give_policy.tier, 0)
    ON CONFLICT (policy) DO UPDATE SET node = excluded.node, copies = excluded.copies, tier = excluded.tier, valid_from = excluded.valid_from,
      valid_to = excluded.valid_to;
  END;
COMMENT ON FUNCTION vectorshard.give_policy(text, text, text, timestamptz, timestamptz, int, geometry, geometry, geometry, int, text) IS
  'internal: writes a policy; client null: every client';

CREATE FUNCTION vectorshard.give_hint(client text, what text, valid_from timestamptz, valid_to timestamptz, node int DEFAULT NULL, place geometry DEFAULT NULL)
  RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  name text := vectorshard.policy_name('hint', client, what);
BEGIN
  PERFORM vectorshard.give_policy(name, client, 'hint', valid_from, valid_to, node => node, place => place);
  IF valid_to <= now() THEN PERFORM vectorshard.end_wishes_of(name); END IF;
  RETURN name;
END
$$;
COMMENT ON FUNCTION vectorshard.give_hint(text, text, timestamptz, timestamptz, int, geometry) IS 'internal: writes a hint, or ends it; its name';

CREATE FUNCTION vectorshard.hint(client text, node text, valid_from timestamptz DEFAULT now(),
                                 valid_to timestamptz DEFAULT now() + interval '1 hour') RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  target int;
BEGIN
  PERFORM vectorshard.check_policy(client, valid_from, valid_to, false);
  target := vectorshard.node_of(node);
  RETURN vectorshard.give_hint(client, 'on ' || vectorshard.one_word(node), valid_from, valid_to, node => target);
END
$$;
COMMENT ON FUNCTION vectorshard.hint(text, text, timestamptz, timestamptz) IS
  'tells that the client will be needed on a node from a time to another: its rows are there when that begins; the name of the policy';
REVOKE ALL ON FUNCTION vectorshard.hint(text, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.hint(client text, place geometry, valid_from timestamptz DEFAULT now(),
                                 valid_to timestamptz DEFAULT now() + interval '1 hour') RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  fault text;
BEGIN
  place := vectorshard.in_degrees(place);
  fault := vectorshard.place_fault(place);
  IF place IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'place must not be null', HINT = 'Give a point, longitude before latitude.';
  ELSIF fault IS NOT NULL THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a hint needs a place on earth', DETAIL = fault,
      HINT = 'Give a point in WGS84 degrees: ST_SetSRID(ST_MakePoint(longitude, latitude), 4326).';
  END IF;
  PERFORM vectorshard.check_policy(client, valid_from, valid_to, false);
  RETURN vectorshard.give_hint(client, 'at ' || vectorshard.place_text(place), valid_from, valid_to, place => place);
END
$$;
COMMENT ON FUNCTION vectorshard.hint(text, geometry, timestamptz, timestamptz) IS
  'tells that the client will be at a place from a time to another: its rows are on the node that serves the place when that begins';
REVOKE ALL ON FUNCTION vectorshard.hint(text, geometry, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.hint(client text, place geography, valid_from timestamptz DEFAULT now(),
                                 valid_to timestamptz DEFAULT now() + interval '1 hour') RETURNS text
  LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
  BEGIN ATOMIC
    SELECT vectorshard.hint(hint.client, hint.place::geometry, hint.valid_from, hint.valid_to);
  END;
COMMENT ON FUNCTION vectorshard.hint(text, geography, timestamptz, timestamptz) IS
  'tells that the client will be at a place from a time to another: its rows are on the node that serves the place when that begins';
REVOKE ALL ON FUNCTION vectorshard.hint(text, geography, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.forbid(client text, node text, valid_from timestamptz DEFAULT now(),
                                   valid_to timestamptz DEFAULT 'infinity') RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  target int;
  name text;
BEGIN
  PERFORM vectorshard.check_policy(client, valid_from, valid_to, true);
  target := vectorshard.node_of(node);
  name := vectorshard.policy_name('forbid', client, 'on ' || vectorshard.one_word(node));
  PERFORM vectorshard.give_policy(name, client, 'never', valid_from, valid_to, node => target);
  PERFORM vectorshard.check_nodes_left(name);
  PERFORM vectorshard.warn_of_homes(name);
  RETURN name;
END
$$;
COMMENT ON FUNCTION vectorshard.forbid(text, text, timestamptz, timestamptz) IS
  'keeps a client (null: every client) off a node; the name of the policy';
REVOKE ALL ON FUNCTION vectorshard.forbid(text, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.confine(client text, area geometry, while_in geometry DEFAULT NULL,
                                    valid_from timestamptz DEFAULT now(), valid_to timestamptz DEFAULT 'infinity') RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  fault text;
  name text;
BEGIN
  area := vectorshard.in_degrees(area);
  while_in := vectorshard.in_degrees(while_in);
  fault := coalesce(vectorshard.area_fault(area), vectorshard.area_fault(while_in));
  IF area IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'area must not be null', HINT = 'Give a polygon, or end a policy with vectorshard.end_policy().';
  ELSIF fault IS NOT NULL THEN
    RAISE invalid_parameter_value USING MESSAGE = 'an area is a polygon on earth', DETAIL = fault,
      HINT = 'Give a valid polygon or multipolygon in WGS84 degrees (SRID 4326).';
  END IF;
  PERFORM vectorshard.check_policy(client, valid_from, valid_to, true);
  IF vectorshard.nodes_in(area) = '{}' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'no node is located in the area',
      DETAIL = 'No node could hold the clients but their homes.', HINT = 'Look at the column location of vectorshard.nodes.';
  END IF;
  name := vectorshard.policy_name('confine', client,
    concat_ws(' ', 'to area', left(md5(area::text), 8), 'while in ' || left(md5(while_in::text), 8)));
  PERFORM vectorshard.give_policy(name, client, 'region', valid_from, valid_to, area => area, while_in => while_in);
  PERFORM vectorshard.check_nodes_left(name);
  PERFORM vectorshard.warn_of_homes(name);
  RETURN name;
END
$$;
COMMENT ON FUNCTION vectorshard.confine(text, geometry, geometry, timestamptz, timestamptz) IS
  'lets only nodes that are located in an area hold a client (null: every client), always or while it is in another area; the name of the policy';
REVOKE ALL ON FUNCTION vectorshard.confine(text, geometry, geometry, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.keep_copies(client text, copies int, valid_from timestamptz DEFAULT now(),
                                        valid_to timestamptz DEFAULT 'infinity') RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  name text;
BEGIN
  IF copies IS NULL OR copies NOT BETWEEN 1 AND 64 THEN
    RAISE invalid_parameter_value USING MESSAGE = 'copies must be from 1 to 64', DETAIL = format('Given: %s.', coalesce(copies::text, 'null')),
      HINT = 'The home counts as one.';
  END IF;
  PERFORM vectorshard.check_policy(client, valid_from, valid_to, true);
  name := vectorshard.policy_name('keep_copies', client, NULL);
  PERFORM vectorshard.give_policy(name, client, 'copies', valid_from, valid_to, copies => copies);
  RETURN name;
END
$$;
COMMENT ON FUNCTION vectorshard.keep_copies(text, int, timestamptz, timestamptz) IS
  'has at least so many nodes that answer hold a client (null: every client), its home among them; the name of the policy';
REVOKE ALL ON FUNCTION vectorshard.keep_copies(text, int, timestamptz, timestamptz) FROM PUBLIC;

-- The one rule of floors, for all who decide where rows lie. A floor that is not known here, of a newer node, is taken for the highest.
CREATE FUNCTION vectorshard.below_floor(tier text, thaw_s float8) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT below_floor.tier IS DISTINCT FROM 'cold' OR below_floor.thaw_s > 0;
  END;
COMMENT ON FUNCTION vectorshard.below_floor(text, float8) IS
  'internal: whether a store that takes so long to give rows back is below the tier on which a policy keeps clients';

CREATE FUNCTION vectorshard.keep_tier(client text, tier text DEFAULT 'hot', valid_from timestamptz DEFAULT now(),
                                      valid_to timestamptz DEFAULT 'infinity') RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  name text;
BEGIN
  IF tier IS NULL OR tier NOT IN ('hot', 'cold') THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a tier to keep clients on is hot or cold', DETAIL = format('Given: %s.', coalesce(tier, 'null')),
      HINT = 'hot: in the heap; cold: at most in a store that is read at once (thaw_s = 0). What may be in any store needs no policy.';
  END IF;
  PERFORM vectorshard.check_policy(client, valid_from, valid_to, true);
  name := vectorshard.policy_name('keep_tier', client, NULL);
  PERFORM vectorshard.give_policy(name, client, 'tier', valid_from, valid_to, tier => tier);
  RETURN name;
END
$$;
COMMENT ON FUNCTION vectorshard.keep_tier(text, text, timestamptz, timestamptz) IS
  'keeps the rows of a client (null: every client) in the heap (hot), or out of stores that have to thaw (cold), and brings back what is there; the name of the policy';
REVOKE ALL ON FUNCTION vectorshard.keep_tier(text, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION vectorshard.copies_due(alive int[], left_s float8, after text, most int) RETURNS TABLE (client text, due boolean)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH p AS MATERIALIZED (
      SELECT p.client, p.copies FROM vectorshard.policy p WHERE p.kind = 'copies' AND p.valid_from <= now() AND p.valid_to > now()),
    wanted AS MATERIALIZED (
      SELECT u.client, u.home
        FROM ((SELECT c.client, c.home FROM vectorshard.client c
                WHERE EXISTS (SELECT FROM p WHERE p.client = '') AND c.client > copies_due.after ORDER BY c.client LIMIT copies_due.most)
              UNION
              SELECT c.client, c.home FROM p JOIN vectorshard.client c ON c.client = p.client WHERE p.client > copies_due.after) u
       ORDER BY u.client LIMIT copies_due.most)
    SELECT c.client,
           (c.home = vectorshard.self_node()
            OR NOT c.home = ANY (copies_due.alive)
               AND vectorshard.self_node() = (SELECT min(h.node) FROM vectorshard.holder h
                                               WHERE h.client = c.client AND h.state = 'live' AND h.node = ANY (copies_due.alive)))
           AND least((SELECT max(p.copies) FROM p WHERE p.client IN (c.client, '')), cardinality(copies_due.alive)) >
               (SELECT count(*) FROM vectorshard.holder h
                 WHERE h.client = c.client AND h.state IN ('live', 'copying') AND h.node = ANY (copies_due.alive)
                   AND (h.node = c.home OR EXISTS (SELECT FROM vectorshard.wish w
                                                    WHERE w.client = c.client AND w.node = h.node
                                                      AND w.until > now() + make_interval(secs => copies_due.left_s))))
           AND NOT EXISTS (SELECT FROM vectorshard.wish w
                            WHERE w.client = c.client AND w.node = w.planner AND w.planner = ANY (copies_due.alive)
                              AND w.reason = 'serves the client' AND w.until > now())
      FROM wanted c ORDER BY c.client;
  END;
COMMENT ON FUNCTION vectorshard.copies_due(int[], float8, text, int) IS
  'internal: some clients of which a policy wants copies, by name after the given one; due: nobody serves it, and this node has to see to it that it has them, on nodes that are alive';

-- Whatever placement_mode says: a floor is about where rows lie, not about who needs them.
CREATE FUNCTION vectorshard.thaw_for_policies(most int) RETURNS bigint
  LANGUAGE sql VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC
    WITH cold AS (
      SELECT k.client, min(p.policy) AS policy
        FROM vectorshard.policy p JOIN vectorshard.cold_client k ON p.client = '' OR k.client = p.client
        JOIN vectorshard.segment g ON g.segment = k.segment
        LEFT JOIN vectorshard.store s ON s.store = g.store
       WHERE p.kind = 'tier' AND p.valid_from <= now() AND p.valid_to > now() AND vectorshard.below_floor(p.tier, s.thaw_s)
         AND NOT EXISTS (SELECT FROM vectorshard.wish w WHERE w.client = k.client AND w.node = vectorshard.self_node() AND w.until > now())
       GROUP BY k.client LIMIT thaw_for_policies.most),
    wished AS (
      INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version)
      SELECT client, vectorshard.self_node(), vectorshard.self_node(), now() + interval '1 minute', format('policy %s keeps it out of the store', policy), 0 FROM cold
      ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until, reason = excluded.reason
      RETURNING 1)
    SELECT count(*) FROM wished;
  END;
COMMENT ON FUNCTION vectorshard.thaw_for_policies(int) IS 'internal: wishes home what lies in a store below the tier on which a policy keeps it';

CREATE FUNCTION vectorshard.policies_like(name text) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
  SELECT CASE count(*) WHEN 0 THEN 'No policy is in force or to come.'
           ELSE format('There are: %s%s.', string_agg(format('"%s"', p.policy), ', ' ORDER BY p.nth) FILTER (WHERE p.nth <= 5),
                       CASE WHEN count(*) > 5 THEN format(' and %s more', count(*) - 5) END) END
    FROM (SELECT q.policy, row_number() OVER (ORDER BY (SELECT count(*) FROM unnest(string_to_array(q.policy, ' ')) w
                                                         WHERE w = ANY (string_to_array(policies_like.name, ' '))) DESC, q.policy) AS nth
            FROM vectorshard.policy q WHERE q.valid_to > now() AND q.kind <> 'inside') p
$$;
COMMENT ON FUNCTION vectorshard.policies_like(text) IS 'internal: the policies that there are, in words, those first that have most words of a name';

CREATE FUNCTION vectorshard.end_policy(policy text) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  p vectorshard.policy;
  giver vectorshard.node;
BEGIN
  PERFORM vectorshard.require_member();
  IF policy IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'policy must not be null', HINT = 'Give a name from the view vectorshard.policies.';
  END IF;
  SELECT q.* INTO p FROM vectorshard.policy q WHERE q.policy = policy AND q.valid_to > now() AND q.kind <> 'inside';
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('there is no policy "%s"', policy),
      DETAIL = vectorshard.policies_like(policy), HINT = 'Give a name from the view vectorshard.policies.';
  END IF;
  -- A row has one writer, unless that is gone for good.
  SELECT n.* INTO giver FROM vectorshard.node n WHERE n.node = (p._version & 1023);
  IF giver.node <> vectorshard.self_node() AND giver.state <> 'removed' THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('policy "%s" was given on another node', policy),
      DETAIL = format('It was given on node "%s".', giver.name), HINT = 'Call vectorshard.end_policy() there.';
  END IF;
  UPDATE vectorshard.policy q SET valid_to = now() WHERE q.policy = policy;
  PERFORM vectorshard.end_wishes_of(policy);
END
$$;
COMMENT ON FUNCTION vectorshard.end_policy(text) IS 'ends a policy, of whatever kind, on the node where it was given';
REVOKE ALL ON FUNCTION vectorshard.end_policy(text) FROM PUBLIC;

CREATE VIEW vectorshard.policies AS
  SELECT p.policy, nullif(p.client, '') AS client,
         CASE p.kind WHEN 'never' THEN 'forbid' WHEN 'region' THEN 'confine' WHEN 'copies' THEN 'keep_copies' WHEN 'tier' THEN 'keep_tier'
                     WHEN 'pin' THEN 'place' ELSE p.kind END AS kind,
         n.name AS node, p.place, p.area, p.while_in, p.copies, p.tier, p.valid_from, p.valid_to,
         now() >= p.valid_from AS in_force, g.name AS given_at
    FROM vectorshard.policy p LEFT JOIN vectorshard.node n ON n.node = p.node
    LEFT JOIN vectorshard.node g ON g.node = (p._version & 1023)
   WHERE p.valid_to > now() AND p.kind <> 'inside';
COMMENT ON VIEW vectorshard.policies IS 'policies in force and to come, by the function that gave them; client null: every client';
