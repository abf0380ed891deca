-- Partitions of every kind of bound go to a store and come back: lists, remainders, expressions, the default one, leaves of sub-partitions.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = tier, public;
CREATE ROLE regress_bounds_owner;
GRANT CREATE, USAGE ON SCHEMA tier TO regress_bounds_owner;
CREATE FUNCTION tier.third(k int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF current_user <> 'regress_bounds_owner' AND current_user <> session_user THEN RAISE EXCEPTION 'runs as %', current_user; END IF;
  RETURN k / 3;
END $$;

CREATE TABLE kind_list (region text, k int) PARTITION BY LIST (region);
CREATE TABLE kind_list_1 PARTITION OF kind_list FOR VALUES IN ('north', NULL);
CREATE TABLE kind_list_2 PARTITION OF kind_list DEFAULT;
CREATE TABLE kind_hash (region text, k int, PRIMARY KEY (k)) PARTITION BY HASH (k);
CREATE TABLE kind_hash_1 PARTITION OF kind_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE kind_hash_2 PARTITION OF kind_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE kind_term (region text, k int) PARTITION BY RANGE (tier.third(k));
CREATE TABLE kind_term_1 PARTITION OF kind_term FOR VALUES FROM (0) TO (10);
CREATE TABLE kind_term_2 PARTITION OF kind_term FOR VALUES FROM (10) TO (100);
CREATE TABLE kind_tree (region text, k int) PARTITION BY LIST (region);
CREATE TABLE kind_tree_1 PARTITION OF kind_tree FOR VALUES IN ('north') PARTITION BY RANGE (k);
CREATE TABLE kind_tree_1_1 PARTITION OF kind_tree_1 FOR VALUES FROM (0) TO (20);
CREATE TABLE kind_tree_1_2 PARTITION OF kind_tree_1 DEFAULT;
CREATE TABLE kind_tree_2 PARTITION OF kind_tree DEFAULT;
ALTER TABLE kind_term OWNER TO regress_bounds_owner;
ALTER TABLE kind_term_1 OWNER TO regress_bounds_owner;

CREATE VIEW kind_all AS
  SELECT 'list' AS kind, * FROM kind_list UNION ALL SELECT 'hash', * FROM kind_hash UNION ALL SELECT 'term', * FROM kind_term UNION ALL SELECT 'tree', * FROM kind_tree;
CREATE FUNCTION told() RETURNS TABLE (kind text, rows bigint, hash text) LANGUAGE sql AS
  $$ SELECT kind, count(*), md5(string_agg(concat(k, coalesce(region, 'none')), ' ' ORDER BY k)) FROM tier.kind_all GROUP BY kind $$;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['list', 'hash', 'term', 'tree'] LOOP
    EXECUTE format('INSERT INTO kind_%s SELECT (ARRAY[''north'', ''south'', ''east'', NULL])[1 + k %% %s], k FROM generate_series(1, 40) k', t, CASE t WHEN 'tree' THEN 3 ELSE 4 END);
  END LOOP;
END $$;
CREATE PROCEDURE wait_for_all(moves int) LANGUAGE plpgsql AS $$
DECLARE
  last bigint := (SELECT max(move) FROM vectorshard.tier_moves);
BEGIN
  FOR m IN last - moves + 1 .. last LOOP CALL tier.wait_for(m, 'done'); END LOOP;
END $$;
CREATE TEMP TABLE before AS SELECT * FROM told();

SELECT vectorshard.move_to_cold(p, grace => '0 s') IS NOT NULL AS planned
  FROM unnest('{kind_list_1,kind_list_2,kind_hash_1,kind_term_1,kind_tree_1_1,kind_tree_1_2}'::regclass[]) p;
CALL wait_for_all(6);
SELECT count(*) AS same FROM told() JOIN before USING (kind, rows, hash);

-- Bounds prune them; what would have to be written there is refused.
SELECT count(*) FROM kind_list WHERE region IS NULL;
SELECT tableoid::regclass, * FROM kind_tree WHERE region = 'north' AND k IN (6, 30) ORDER BY k;
INSERT INTO kind_list VALUES ('west', 0);
INSERT INTO kind_hash SELECT 'west', k FROM generate_series(100, 120) k;
UPDATE kind_tree SET region = 'north' WHERE region = 'south' AND k = 1;
UPDATE kind_hash SET region = 'x' WHERE k = -1;

-- A new partition takes nothing from a default one in a store: PostgreSQL looks there, and refuses it if rows would be its.
CREATE TABLE kind_list_3 PARTITION OF kind_list FOR VALUES IN ('south');
CREATE TABLE kind_list_3 PARTITION OF kind_list FOR VALUES IN ('west');
INSERT INTO kind_list VALUES ('west', 0);
DELETE FROM kind_list WHERE region = 'west';
DROP TABLE kind_list_3;

SELECT vectorshard.move_to_hot(p, grace => '0 s') IS NOT NULL AS planned
  FROM unnest('{kind_list_1,kind_list_2,kind_hash_1,kind_term_1,kind_tree_1_1,kind_tree_1_2}'::regclass[]) p;
CALL wait_for_all(6);
SELECT count(*) AS same FROM told() JOIN before USING (kind, rows, hash);
INSERT INTO kind_list VALUES ('far', 1);
UPDATE kind_tree SET region = 'north' WHERE region = 'south' AND k = 1;

DROP VIEW kind_all CASCADE;
DROP TABLE kind_list, kind_hash, kind_term, kind_tree;
DROP FUNCTION told(), tier.third(int);
DROP PROCEDURE wait_for_all(int);
REVOKE ALL ON SCHEMA tier FROM regress_bounds_owner;
DROP ROLE regress_bounds_owner;
