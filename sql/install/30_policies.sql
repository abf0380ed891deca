-- Place: the names of policies, and whether they leave a node for those whom they bind. What gives them is in 31_control.sql.

-- PostGIS may lie in any schema: bodies that use it are bound now.
CREATE FUNCTION vectorshard.area_fault(area geometry) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT CASE WHEN ST_SRID(area_fault.area) <> 4326 THEN format('Its SRID is %s, not 4326.', ST_SRID(area_fault.area))
                WHEN GeometryType(area_fault.area) NOT IN ('POLYGON', 'MULTIPOLYGON') THEN format('It is a %s.', GeometryType(area_fault.area))
                WHEN ST_IsEmpty(area_fault.area) THEN 'It is empty.'
                WHEN NOT ST_IsValid(area_fault.area) THEN ST_IsValidReason(area_fault.area) || '.' END;
  END;
COMMENT ON FUNCTION vectorshard.area_fault(geometry) IS 'internal: what is wrong with an area of a policy; null: nothing';

CREATE FUNCTION vectorshard.place_fault(place geometry) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT CASE WHEN ST_SRID(place_fault.place) <> 4326 THEN format('Its SRID is %s, not 4326.', ST_SRID(place_fault.place))
                WHEN GeometryType(place_fault.place) <> 'POINT' THEN format('It is a %s.', GeometryType(place_fault.place))
                WHEN ST_IsEmpty(place_fault.place) THEN 'It is empty.'
                WHEN abs(ST_Y(place_fault.place)) > 90 OR abs(ST_X(place_fault.place)) > 180
                THEN format('It is %s %s.', ST_X(place_fault.place), ST_Y(place_fault.place)) END;
  END;
COMMENT ON FUNCTION vectorshard.place_fault(geometry) IS 'internal: what is wrong with the position of a hint; null: nothing';

CREATE FUNCTION vectorshard.place_text(place geometry) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT format('%s %s', ST_X(place_text.place), ST_Y(place_text.place));
  END;
COMMENT ON FUNCTION vectorshard.place_text(geometry) IS 'internal: longitude and latitude of a point';

CREATE FUNCTION vectorshard.nodes_in(area geometry) RETURNS int[]
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT coalesce(array_agg(n.node ORDER BY n.node), '{}') FROM vectorshard.node n
     WHERE n.state <> 'removed' AND ST_Covers(nodes_in.area, n.location);
  END;
COMMENT ON FUNCTION vectorshard.nodes_in(geometry) IS 'internal: the nodes that are located in an area';

-- A name is one word, or stands in quotes: what is put together from names has one reading.
CREATE FUNCTION vectorshard.one_word(name text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT CASE WHEN one_word.name ~ '[[:space:]"]' THEN '"' || replace(one_word.name, '"', '""') || '"' ELSE one_word.name END;
  END;
COMMENT ON FUNCTION vectorshard.one_word(text) IS 'internal: a name as it stands in the name of a policy';

CREATE FUNCTION vectorshard.node_word(node int) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT vectorshard.one_word(coalesce((SELECT n.name FROM vectorshard.node n WHERE n.node = node_word.node), node_word.node::text));
  END;
COMMENT ON FUNCTION vectorshard.node_word(int) IS 'internal: a node as it stands in the name of a policy';

-- The name is the key of the row, the same on every node. Two nodes of one name are never in the fabric at once, and a policy that is given again
-- is given for the node that has the name now.
CREATE FUNCTION vectorshard.policy_name(given_by text, client text, what text, planner int DEFAULT vectorshard.self_node()) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT concat_ws(' ', policy_name.given_by, coalesce(vectorshard.one_word(policy_name.client), 'every client'), policy_name.what,
                     'by', vectorshard.node_word(policy_name.planner));
  END;
COMMENT ON FUNCTION vectorshard.policy_name(text, text, text, int) IS
  'internal: what a policy is called: the function that gives it, for whom (null: every client), what, and the node where it is given';

-- Whatever their times and geofences: only these have to be looked at more closely. Many clients share few areas.
CREATE FUNCTION vectorshard.policy_suspects(policy text, kinds text[]) RETURNS text[]
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH me AS MATERIALIZED (SELECT p.* FROM vectorshard.policy p WHERE p.policy = policy_suspects.policy),
    there AS MATERIALIZED (SELECT n.node FROM vectorshard.node n WHERE n.state = 'active'),
    binding AS MATERIALIZED (
      SELECT q.client, q.kind, q.node, q.area FROM me JOIN vectorshard.policy q
          ON me.client = '' AND (q.kind = ANY (policy_suspects.kinds) OR q.policy = me.policy) AND q.kind IN ('never', 'region')
         AND q.valid_to > greatest(now(), me.valid_from) AND q.valid_from < me.valid_to),
    areas AS MATERIALIZED (
      SELECT a.area, vectorshard.nodes_in(a.area) AS nodes FROM (SELECT DISTINCT b.area FROM binding b WHERE b.kind = 'region') a),
    excluded AS MATERIALIZED (
      SELECT b.client, n.node FROM binding b LEFT JOIN areas a ON a.area = b.area CROSS JOIN there n
       WHERE CASE b.kind WHEN 'never' THEN n.node = b.node ELSE NOT n.node = ANY (a.nodes) END),
    open AS MATERIALIZED (
      SELECT n.node FROM there n WHERE NOT EXISTS (SELECT FROM excluded x WHERE x.client = '' AND x.node = n.node))
    SELECT array_prepend((SELECT me.client FROM me),
                         ARRAY(SELECT x.client FROM excluded x LEFT JOIN open o ON o.node = x.node WHERE x.client <> ''
                                GROUP BY x.client HAVING count(DISTINCT o.node) = (SELECT count(*) FROM open) ORDER BY x.client));
  END;
COMMENT ON FUNCTION vectorshard.policy_suspects(text, text[]) IS
  'internal: the client of a ban or region (empty: every client), and those others for whom all that bind together with it at some time leave no node';

-- Regions within a geofence bind those who are in there: of such as have a common point, up to three besides the given one are looked at.
CREATE FUNCTION vectorshard.nodes_left(policy text, kinds text[], clients text[])
  RETURNS TABLE (client text, at timestamptz, fenced boolean, nodes int[], others text[])
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH RECURSIVE me AS MATERIALIZED (SELECT p.* FROM vectorshard.policy p WHERE p.policy = nodes_left.policy),
    there AS MATERIALIZED (SELECT coalesce(array_agg(n.node ORDER BY n.node), '{}') AS nodes FROM vectorshard.node n WHERE n.state = 'active'),
    relevant AS MATERIALIZED (
      SELECT q.*, q.policy = me.policy AS mine, CASE q.kind WHEN 'region' THEN vectorshard.nodes_in(q.area) END AS within
        FROM me JOIN vectorshard.policy q
          ON q.client = ANY (array_append(nodes_left.clients, '')) AND (q.kind = ANY (nodes_left.kinds) OR q.policy = me.policy)
         AND q.kind IN ('never', 'region') AND q.valid_to > greatest(now(), me.valid_from) AND q.valid_from < me.valid_to),
    binding AS MATERIALIZED (
      SELECT q.policy, q.client, q.valid_from, q.valid_to, q.while_in, q.mine,
             ARRAY(SELECT n FROM unnest(there.nodes) n WHERE CASE q.kind WHEN 'never' THEN n <> q.node ELSE n = ANY (q.within) END) AS nodes
        FROM relevant q CROSS JOIN there),
    whom AS MATERIALIZED (SELECT w.client FROM unnest(nodes_left.clients) w (client)),
    binds AS MATERIALIZED (
      SELECT b.client AS whom, b.* FROM binding b WHERE b.client <> ''
      UNION ALL
      SELECT w.client, b.* FROM whom w CROSS JOIN binding b WHERE b.client = ''),
    -- What binds grows only when something begins.
    moment AS MATERIALIZED (
      SELECT DISTINCT b.whom, greatest(b.valid_from, me.valid_from, now()) AS at FROM binds b CROSS JOIN me),
    barred AS MATERIALIZED (
      SELECT m.whom, m.at, array_agg(DISTINCT n) AS nodes
        FROM moment m CROSS JOIN there JOIN binds b ON b.whom = m.whom AND b.valid_from <= m.at AND b.valid_to > m.at AND (b.mine OR b.while_in IS NULL)
       CROSS JOIN LATERAL unnest(there.nodes) n WHERE NOT n = ANY (b.nodes) GROUP BY m.whom, m.at),
    held AS (
      SELECT m.whom, m.at, me.while_in::geometry AS while_in, '' COLLATE "C" AS last, 0 AS fences,
             ARRAY(SELECT n FROM unnest(there.nodes) n WHERE NOT n = ANY (coalesce(x.nodes, '{}'))) AS nodes, '{}'::text[] COLLATE "C" AS fenced
        FROM moment m CROSS JOIN me CROSS JOIN there LEFT JOIN barred x ON x.whom = m.whom AND x.at = m.at
      UNION ALL
      SELECT h.whom, h.at, CASE WHEN h.while_in IS NULL THEN b.while_in ELSE ST_Intersection(h.while_in, b.while_in) END, b.policy, h.fences + 1,
             ARRAY(SELECT n FROM unnest(h.nodes) n WHERE n = ANY (b.nodes)), h.fenced || b.policy
        FROM held h JOIN binds b ON b.whom = h.whom AND NOT b.mine AND b.valid_from <= h.at AND b.valid_to > h.at AND b.policy > h.last
         AND (h.while_in IS NULL OR ST_Intersects(h.while_in, b.while_in))
       WHERE b.while_in IS NOT NULL AND h.nodes <> '{}' AND h.fences < 3)
    SELECT h.whom, h.at, h.while_in IS NOT NULL, h.nodes,
           ARRAY(SELECT b.policy FROM binds b
                  WHERE b.whom = h.whom AND NOT b.mine AND b.valid_from <= h.at AND b.valid_to > h.at
                    AND (b.while_in IS NULL OR b.policy = ANY (h.fenced))
                    AND NOT b.nodes @> (SELECT c.nodes FROM binding c WHERE c.mine) ORDER BY b.policy)
      FROM held h;
  END;
COMMENT ON FUNCTION vectorshard.nodes_left(text, text[], text[]) IS
  'internal: for each of these clients, which a ban or region binds, and each moment and set of geofences in which others bind it too: the active nodes that are left, and what excludes those that the policy itself allows; client empty: all that have no policy of their own';

-- Regions that exclude each other say two things, so the later is refused. A ban goes before everything and passes, but not silently. Nodes that join
-- or leave later may lie anywhere, and of what another node is given at the same time this one has not heard: then the home alone holds the client.
CREATE FUNCTION vectorshard.check_nodes_left(policy text) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  p vectorshard.policy;
  kinds text[];
  suspects text[];
  l record;
  message text;
  detail text;
BEGIN
  SELECT q.* INTO p FROM vectorshard.policy q WHERE q.policy = policy;
  IF p.valid_to <= now() THEN RETURN; END IF;
  FOREACH kinds SLICE 1 IN ARRAY CASE p.kind WHEN 'region' THEN '{{region,region},{never,region}}'::text[] ELSE '{{never,region}}' END LOOP
    suspects := vectorshard.policy_suspects(policy, kinds);
    FOR i IN 0 .. (cardinality(suspects) - 1) / 500 LOOP
      SELECT n.*, n.nodes = '{}' AS none INTO l FROM vectorshard.nodes_left(policy, kinds, suspects[i * 500 + 1 : i * 500 + 500]) n
       WHERE n.nodes = '{}' OR p.client = '' AND n.client = '' AND NOT n.fenced AND 'never' = ANY (kinds)
                               AND NOT EXISTS (SELECT FROM vectorshard.node c WHERE c.node = ANY (n.nodes) AND c.kind = 'core')
       ORDER BY n.nodes <> '{}', n.client <> p.client, n.at, n.client, n.others LIMIT 1;
      EXIT WHEN FOUND;
    END LOOP;
    CONTINUE WHEN l IS NULL;
    detail := format('%s together with %s%s.', CASE WHEN l.at > now() THEN format('From %s on it binds', l.at) ELSE 'It binds' END,
                     nullif((SELECT string_agg(format('"%s"', o), ', ') FROM unnest(l.others[1:3]) o), ''),
                     CASE WHEN cardinality(l.others) > 3 THEN format(' and %s more', cardinality(l.others) - 3) END);
    IF l.others = '{}' THEN detail := format(CASE p.kind WHEN 'region' THEN 'No active %s is located in the area.' ELSE 'The fabric has no other active %s.' END, CASE WHEN l.none THEN 'node' ELSE 'core node' END); END IF;
    message := format('policy "%s" leaves no %s for %s', policy, CASE WHEN l.none THEN 'node' ELSE 'core node' END,
                      CASE l.client WHEN '' THEN 'a client' ELSE format('client "%s"', l.client) END);
    IF l.none AND NOT 'never' = ANY (kinds) THEN
      RAISE object_not_in_prerequisite_state USING MESSAGE = message, DETAIL = detail,
        HINT = 'End the other policy with vectorshard.end_policy(), or give times that do not overlap.';
    ELSIF l.none THEN
      RAISE WARNING USING MESSAGE = message, DETAIL = detail || ' Homes keep what they have; nobody else may hold it.',
        HINT = 'If that is not meant, end a policy with vectorshard.end_policy().';
    ELSE
      RAISE WARNING USING MESSAGE = message, DETAIL = detail || ' Homes stay where they are, and clients that nobody knows yet are not born.',
        HINT = 'Homes are on core nodes: let it allow one.';
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION vectorshard.check_nodes_left(text) IS
  'internal: raises if a region and others leave some client no node; warns if they do together with bans, or if no core node is left';
