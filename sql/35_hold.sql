-- Place, second half: births, pins, and the home's answers to holders, on a single core node.
SET client_min_messages = warning;
CREATE TABLE held (car text, id int, note text, PRIMARY KEY (car, id));
SELECT vectorshard.create_vector_shard_table('held', 'car');

-- A client is born with its first row: home, residency and holder row are there when the row is.
INSERT INTO held VALUES ('h1', 1, 'one'), ('h1', 2, 'two'), ('h2', 1, 'one');
SELECT c.client, c.home, c.epoch, r.leaving, r.confirmed, h.state, h.generation = r.generation AS same
  FROM vectorshard.client c JOIN vectorshard.resident r USING (client) JOIN vectorshard.holder h USING (client)
 WHERE c.client LIKE 'h_' ORDER BY 1;
BEGIN;
INSERT INTO held VALUES ('h3', 1, 'never');
ROLLBACK;
SELECT count(*) FROM vectorshard.client WHERE client = 'h3';
SELECT home, epoch, born FROM vectorshard.birth_client('h3');
SELECT home, epoch, born FROM vectorshard.birth_client('h3');
INSERT INTO held VALUES ('', 1, 'nobody');
INSERT INTO held VALUES (repeat('x', 256), 1, 'somebody');

-- Pins.
SELECT vectorshard.place('h1', 'alone', now() + interval '1 day');
SELECT w.node, w.planner, w.until > now() + interval '23 hours' AS for_a_day, w.reason LIKE 'pinned by %' AS reason,
       p.kind, p.valid_to = w.until AS same
  FROM vectorshard.wish w JOIN vectorshard.policy p ON p.client = w.client WHERE w.client = 'h1';
SELECT vectorshard.place('h1', 'alone', now());
SELECT count(*) FROM vectorshard.wish WHERE client = 'h1' AND until > now();
SELECT vectorshard.place('h1', 'nowhere');
SELECT vectorshard.place('nobody', 'alone');
SELECT vectorshard.place('h1', NULL);

-- Letting go.
SELECT vectorshard.evict('h1');
SELECT vectorshard.evict('nobody');
SELECT vectorshard.evict('');
SELECT vectorshard.copy_time_ms(1) IS NULL AS not_measured;

-- What a holder hears that asks for a copy.
SELECT vectorshard.copy_announce('nobody', 9, 1, 'copying', 1);
-- Of a node that is not known here no holder is taken; then it is known.
SELECT vectorshard.copy_announce('h1', 9, 1000, 'copying', 1000);
SET session_replication_role = replica;
INSERT INTO vectorshard.node
  SELECT (jsonb_populate_record(n, '{"node": 9, "name": "other", "registrar": false, "port": 1, "uuid": "00000000-0000-0000-0000-000000000009"}')).*
    FROM vectorshard.node n WHERE node = vectorshard.self_node();
RESET session_replication_role;
SELECT vectorshard.copy_announce('h1', 9, 1000, 'copying', 1000);
SELECT generation, state FROM vectorshard.holder WHERE client = 'h1' AND node = 9;
SELECT vectorshard.copy_announce('h1', 9, 1000, 'live', 1001);
SELECT vectorshard.copy_announce('h1', 9, 999, 'copying', 999);
SELECT generation, state FROM vectorshard.holder WHERE client = 'h1' AND node = 9;
SELECT length(vectorshard.copy_export('h1')) > length(vectorshard.copy_export('h2')) AS longer;
SELECT vectorshard.copy_export('nobody') IS NULL AS nothing;
BEGIN;
UPDATE vectorshard.resident SET leaving = true WHERE client = 'h1';
SELECT vectorshard.copy_announce('h1', 9, 1001, 'copying', 1002);
ROLLBACK;

-- What a holder hears that wants to let go: the home of this epoch, only if it holds the same, and it takes the debts.
SELECT vectorshard.evict_handshake('nobody', 9, 1, '', false, '{}');
SELECT vectorshard.evict_handshake('h1', 9, 2, vectorshard.client_digest('h1'), false, '{}');
SELECT vectorshard.evict_handshake('h1', 9, 1, 'another', false, '{}');
SELECT vectorshard.evict_handshake('h1', 9, 1, vectorshard.client_digest('h1'), false, '{1,9,10}');
SELECT peer, client FROM vectorshard.peer_debt WHERE client = 'h1';
SELECT vectorshard.evict_handshake('h1', 9, 1, 'another', true, '{}');

-- Not for applications.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'vectorshard'::regnamespace
   AND p.proname IN ('place', 'evict', 'birth_client', 'copy_announce', 'copy_export', 'evict_handshake')
   AND has_function_privilege('pg_monitor', p.oid, 'EXECUTE');

DELETE FROM vectorshard.peer_debt WHERE client = 'h1';
SET session_replication_role = replica;
DELETE FROM vectorshard.holder WHERE node = 9;
DELETE FROM vectorshard.node WHERE node = 9;
RESET session_replication_role;
SELECT vectorshard.undistribute_table('held');
DROP TABLE held;
