-- Founding twice, bad places; every refusal of enrolment; what enrolling, undistributing and dropping leave behind.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;

-- Identity
SELECT vectorshard.create_fabric('again', ST_SetSRID(ST_MakePoint(0, 0), 4326));
SELECT vectorshard.check_new_member('', NULL, NULL);
SELECT vectorshard.bad_location(ST_SetSRID(ST_MakePoint(181, 0), 4326)), vectorshard.bad_location(ST_MakePoint(1, 1)),
       vectorshard.bad_location('LINESTRING(0 0, 1 1)'::geometry), vectorshard.bad_location(NULL),
       vectorshard.bad_location(ST_SetSRID(ST_MakePoint(1, 1), 4326));
SELECT vectorshard.bad_coverage(NULL), vectorshard.bad_coverage(ST_SetSRID(ST_MakePoint(1, 1), 4326)),
       vectorshard.bad_coverage(ST_MakeEnvelope(0, 0, 1, 1)), vectorshard.bad_coverage(ST_MakeEnvelope(0, 0, 1, 1, 4326));
SELECT vectorshard.parse_address('host=a port=1 password=secret');
SELECT * FROM vectorshard.parse_address('host=a.example port=1 dbname=d');
SELECT vectorshard.remove_node('nobody');
SELECT vectorshard.remove_node('alone');

-- Refusals
CREATE SCHEMA enrol;
SET search_path = enrol, public;
CREATE TABLE no_key (client text, v int);
SELECT vectorshard.create_vector_shard_table('no_key', 'client');
CREATE TABLE no_column (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('no_column', 'car');
CREATE TABLE outside (client text, id int PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('outside', 'client');
CREATE TABLE odd_client (client date PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('odd_client', 'client');
CREATE TABLE later (client text PRIMARY KEY DEFERRABLE);
SELECT vectorshard.create_vector_shard_table('later', 'client');
CREATE TABLE float_key (client text, x float8, PRIMARY KEY (client, x));
SELECT vectorshard.create_vector_shard_table('float_key', 'client');
CREATE TABLE numeric_key (client text, x numeric, PRIMARY KEY (client, x));
SELECT vectorshard.create_vector_shard_table('numeric_key', 'client');
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE collated (client text COLLATE any_case PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('collated', 'client');
CREATE TABLE two_keys (client text, id int, code text UNIQUE, PRIMARY KEY (client, id));
SELECT vectorshard.create_vector_shard_table('two_keys', 'client');
CREATE TABLE two_indexes (client text, id int, PRIMARY KEY (client, id));
CREATE UNIQUE INDEX two_indexes_id ON two_indexes (id);
SELECT vectorshard.create_reference_table('two_indexes');
CREATE TABLE excluding (client text PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&));
SELECT vectorshard.create_vector_shard_table('excluding', 'client');
CREATE UNLOGGED TABLE fast (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('fast', 'client');
CREATE TEMP TABLE brief (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('brief', 'client');
CREATE TABLE parted (client text, id int, PRIMARY KEY (client, id)) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
SELECT vectorshard.create_vector_shard_table('parted', 'client');
SELECT vectorshard.create_vector_shard_table('part', 'client');
CREATE TABLE parent (client text PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (client)) INHERITS (parent);
SELECT vectorshard.create_vector_shard_table('child', 'client');
SELECT vectorshard.create_vector_shard_table('parent', 'client');
CREATE VIEW seen AS SELECT * FROM parent;
SELECT vectorshard.create_vector_shard_table('seen', 'client');
SELECT vectorshard.create_reference_table('pg_class');
SELECT vectorshard.create_reference_table('vectorshard.node');
CREATE TABLE versioned (client text PRIMARY KEY, _version int);
SELECT vectorshard.create_vector_shard_table('versioned', 'client');
CREATE TABLE mute (client text PRIMARY KEY);
ALTER TABLE mute REPLICA IDENTITY NOTHING;
SELECT vectorshard.create_vector_shard_table('mute', 'client');
CREATE TABLE this_name_is_so_long_that_nothing_can_be_added_to_it_any (client text PRIMARY KEY);
SELECT vectorshard.create_vector_shard_table('this_name_is_so_long_that_nothing_can_be_added_to_it_any', 'client');
CREATE TABLE taken (client text PRIMARY KEY);
CREATE TABLE taken_elsewhere (x int);
SELECT vectorshard.create_vector_shard_table('taken', 'client');
CREATE TABLE nameless (client text PRIMARY KEY);
INSERT INTO nameless VALUES ('');
SELECT vectorshard.create_vector_shard_table('nameless', 'client');

-- Foreign keys
CREATE TABLE plain (id int PRIMARY KEY);
CREATE TABLE leaves (client text, id int REFERENCES plain, PRIMARY KEY (client, id));
SELECT vectorshard.create_vector_shard_table('leaves', 'client');
SELECT vectorshard.create_reference_table('plain');
ALTER TABLE leaves DROP CONSTRAINT leaves_id_fkey;
SELECT vectorshard.create_reference_table('plain');
CREATE TABLE pointing (id int PRIMARY KEY REFERENCES two_indexes (id));
SELECT vectorshard.create_reference_table('pointing');
CREATE TABLE described (id int PRIMARY KEY REFERENCES plain);
SELECT vectorshard.create_reference_table('described');
CREATE TABLE trip (client text, id int, before int, PRIMARY KEY (client, id), FOREIGN KEY (client, before) REFERENCES trip);
SELECT vectorshard.create_vector_shard_table('trip', 'client');
CREATE TABLE crossed (client text, other text, id int, PRIMARY KEY (client, id), FOREIGN KEY (other, id) REFERENCES trip (client, id));
SELECT vectorshard.create_vector_shard_table('crossed', 'client');
CREATE TABLE stop (client text, id int, trip int, PRIMARY KEY (client, id), FOREIGN KEY (client, trip) REFERENCES trip);
SELECT vectorshard.create_vector_shard_table('stop', 'client');
SELECT vectorshard.create_vector_shard_table('stop', 'client');

-- Who may
CREATE ROLE vectorshard_somebody;
GRANT USAGE ON SCHEMA enrol, vectorshard TO vectorshard_somebody;
CREATE TABLE owned (client text PRIMARY KEY);
SET ROLE vectorshard_somebody;
SELECT vectorshard.create_vector_shard_table('owned', 'client');
SELECT vectorshard.enrol('owned', 'vector_shard', 'client');
SELECT vectorshard.create_fabric('mine', NULL);
RESET ROLE;
ALTER TABLE owned OWNER TO vectorshard_somebody;
SET ROLE vectorshard_somebody;
SELECT vectorshard.create_vector_shard_table('owned', 'client');
SELECT current_user;
INSERT INTO owned VALUES ('fabric06_owned');
ALTER TABLE owned ADD COLUMN later int;
SELECT * FROM owned_elsewhere;
RESET ROLE;

-- What enrolling leaves: rows that were there keep their clients, sequences are warned of
SET client_min_messages = warning;
CREATE TABLE visit (client int, id serial, geo geometry(Point, 4326), word text COLLATE "C" DEFAULT 'x', twice int GENERATED ALWAYS AS (id * 2) STORED,
                    CONSTRAINT positive CHECK (id > 0), PRIMARY KEY (client, id));
CREATE INDEX visit_geo ON visit USING gist (geo);
INSERT INTO visit (client) SELECT 60000 + i % 3 FROM generate_series(1, 9) i;
SELECT vectorshard.create_vector_shard_table('visit', 'client');
SELECT count(*), count(DISTINCT _version), min(_version) > 0 AS stamped FROM visit;
SELECT c.client, c.home, c.epoch, h.state, h.generation = r.generation AS same, r.leaving
  FROM vectorshard.client c JOIN vectorshard.holder h USING (client) JOIN vectorshard.resident r USING (client) WHERE c.client LIKE '6000_' ORDER BY 1;
SELECT split_part(definition, E';\nDO $owner$', 1) AS definition FROM vectorshard.shard_table WHERE table_name = 'enrol.visit';
SELECT tgname FROM pg_trigger WHERE tgrelid = 'visit'::regclass ORDER BY 1;
SELECT tablename FROM pg_publication_tables WHERE pubname = 'vectorshard' AND schemaname = 'enrol' ORDER BY 1;
SELECT relkind, relacl::text FROM pg_class WHERE relname = 'visit_elsewhere';
TRUNCATE visit;
-- Nothing inherits from it.
CREATE TABLE heir () INHERITS (visit);
CREATE TABLE heir (LIKE visit INCLUDING ALL);
ALTER TABLE heir INHERIT visit;
CREATE FOREIGN TABLE other_heir () INHERITS (visit) SERVER fabric;
CREATE TABLE heir_of_heir () INHERITS (heir);
DROP TABLE heir, heir_of_heir;

-- Made again from its definition, adopted, refused
DROP TABLE visit;
SELECT to_regclass('visit_elsewhere'), (SELECT state FROM vectorshard.shard_table WHERE table_name = 'enrol.visit');
UPDATE vectorshard.shard_table SET state = 'enrolled' WHERE table_name = 'enrol.visit';
SELECT vectorshard.realize_tables() <= 1 AS realized;  -- the holder worker may have been first
SELECT vectorshard.realize_tables() <= 1 AS realized;  -- the holder worker may have been first
SELECT split_part(vectorshard.table_definition('visit'), ';', 3) = split_part(definition, ';', 3) AS same FROM vectorshard.shard_table WHERE table_name = 'enrol.visit';
UPDATE vectorshard.shard_table SET state = 'undistributed' WHERE table_name = 'enrol.visit';
SELECT vectorshard.realize_tables() <= 1 AS realized;  -- the holder worker may have been first
SELECT vectorshard.is_attached('visit');
INSERT INTO visit (client) VALUES (1);
UPDATE vectorshard.shard_table SET state = 'enrolled' WHERE table_name = 'enrol.visit';
SELECT vectorshard.realize_tables() + vectorshard.realize_tables() <= 1 AS realized;
SELECT kind, table_name, reason, resolved IS NULL AS open FROM vectorshard.conflict WHERE table_name = 'enrol.visit';
BEGIN;  -- once it is empty the holder worker may take it at any moment
DELETE FROM visit;
ALTER TABLE visit ADD COLUMN more int;
COMMIT;
SELECT vectorshard.realize_tables() <= 1 AS realized;  -- the holder worker may have been first
ALTER TABLE visit DROP COLUMN more;
SELECT vectorshard.realize_tables() <= 1 AS realized;  -- the holder worker may have been first
SELECT reason, resolved IS NULL AS open FROM vectorshard.conflict WHERE table_name = 'enrol.visit' ORDER BY conflict;
DROP TABLE visit;
DELETE FROM vectorshard.conflict WHERE table_name = 'enrol.visit';

-- Undistributing
SELECT vectorshard.undistribute_table('mute');
CREATE VIEW of_all AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW of_old AS SELECT _version FROM plain;
CREATE VIEW of_names AS SELECT id FROM plain;
SELECT vectorshard.undistribute_table('plain');
DROP MATERIALIZED VIEW of_old;
DROP VIEW of_all;
SELECT vectorshard.undistribute_table('plain');
DROP VIEW of_names;
SELECT vectorshard.is_attached('plain'), (SELECT state FROM vectorshard.shard_table WHERE table_name = 'enrol.plain');
SELECT attname FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT vectorshard.undistribute_table('owned');

-- Unique ids
SELECT count(DISTINCT vectorshard.next_id()) FROM generate_series(1, 1000);

-- Nothing of this may stay for the tests that follow
SET client_min_messages = error;
DROP SCHEMA enrol CASCADE;
REVOKE USAGE ON SCHEMA vectorshard FROM vectorshard_somebody;
DROP ROLE vectorshard_somebody;
SELECT count(*) FROM vectorshard.shard_table WHERE state = 'enrolled' AND table_name LIKE 'enrol.%';
