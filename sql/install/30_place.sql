-- Place, first half: deciding. What wakes the navigator, and views of what it decided and how it fared. Policies are in
-- 31_control.sql, holding is in 35_hold.sql.

CREATE INDEX policy_client ON vectorshard.policy (client, kind);
CREATE INDEX policy_binding ON vectorshard.policy (kind, valid_to) WHERE kind IN ('never', 'region', 'copies', 'tier');

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

CREATE FUNCTION vectorshard.explain_placement(client text)
  RETURNS TABLE (node text, probability float8, earliest_s float8, eta_s float8, arrivals_per_h float8, lead_s float8, value float8,
                 rank int, tier text, policy text, decision text, reason text)
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
