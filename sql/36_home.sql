-- Homes that move, nodes that leave, and what a greeting is answered, as far as a single node can tell.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE moved (car text, id int, PRIMARY KEY (car, id));
SELECT vectorshard.create_vector_shard_table('moved', 'car');
INSERT INTO moved VALUES ('m1', 1), ('m2', 1);

-- Refused
SELECT vectorshard.move_home('m1', 'nowhere');
SELECT vectorshard.move_home('nobody', 'alone');
SELECT vectorshard.move_home('m1', NULL);
SELECT vectorshard.move_home('m1', 'alone', force => NULL);
SELECT vectorshard.move_home('m1', 'alone', force => true);
SELECT vectorshard.remove_node('alone', force => true);
SELECT vectorshard.transfer_registrar('nowhere');
SELECT vectorshard.take_home('m2', 1, 1, false);
SELECT vectorshard.node_left(1, gen_random_uuid());

-- Nothing to do
SELECT vectorshard.move_home('m1', 'alone');
SELECT vectorshard.transfer_registrar('alone');
SELECT count(*) FROM vectorshard.home_move;

-- A home hands over: only what is complete here is taken, and asked again it is the same
SELECT vectorshard.become_home('m1', 9, 5, 'another digest', false);
SELECT home, epoch FROM vectorshard.client WHERE client = 'm1';
SELECT vectorshard.become_home('m1', 9, 5, vectorshard.client_digest('m1'), false);
SELECT home, epoch FROM vectorshard.client WHERE client = 'm1';
SELECT vectorshard.become_home('m1', 9, 5, 'another digest', false);
SELECT vectorshard.become_home('m1', 9, 6, 'another digest', true);
SELECT home, epoch FROM vectorshard.client WHERE client = 'm1';
SELECT vectorshard.become_home('nobody', 9, 1, '', true);

-- Greetings: of this server itself, with its own token, which is the one that answers under its address
SELECT vectorshard.check_start(1, 10, to_hex(vectorshard.start_token()) || '@10', 100);
SELECT vectorshard.check_start(1, 10, to_hex(vectorshard.start_token()) || '@10', 99);
SELECT vectorshard.check_start(1, 10, to_hex(vectorshard.start_token()) || '@10', 200);
SELECT vectorshard.check_start(1, 10, to_hex(vectorshard.start_token()) || '@10 ab@c8', 300);
SELECT vectorshard.check_start(1, 10, 'ab@c8', 300);
SELECT vectorshard.check_start(1, 9, to_hex(vectorshard.start_token()) || '@10', 400);
SELECT vectorshard.check_start(1, 11, to_hex(vectorshard.start_token()) || '@10', 50);
SELECT vectorshard.check_start(1, 11, 'nonsense', 50);
SELECT vectorshard.check_start(0, 11, '', 50);
SELECT position FROM vectorshard.peer_start WHERE node = 1;
SELECT verdict FROM vectorshard.hello(1, vectorshard.boot_uuid(), 1, '', 0);
SELECT vectorshard.require_certain();

-- What this node says it holds is what is here
SET session_replication_role = replica;
UPDATE vectorshard.holder SET state = 'gone' WHERE client = 'm1';
INSERT INTO vectorshard.holder VALUES ('nobody', 1, 5, 'live', 5);
RESET session_replication_role;
SELECT vectorshard.restate_holdings();
SELECT client, state, generation > 5 AS later FROM vectorshard.holder WHERE client IN ('m1', 'nobody') ORDER BY 1;

DELETE FROM vectorshard.peer_start;
DELETE FROM vectorshard.holder WHERE client = 'nobody';
DELETE FROM moved;
SELECT vectorshard.undistribute_table('moved');
DROP TABLE moved;
