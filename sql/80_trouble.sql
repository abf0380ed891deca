-- What a careless or unlucky administrator may do on one node: it is refused with a hint, and nothing is lost.
-- More, with several nodes: test/multinode/080_trouble.pl.
\set VERBOSITY default
CREATE SCHEMA trouble;
SET search_path = trouble, public;
CREATE TABLE ride (car text, id int, note text, PRIMARY KEY (car, id));
SELECT vectorshard.create_vector_shard_table('ride', 'car');
CREATE TABLE kind (id int PRIMARY KEY, name text);
SELECT vectorshard.create_reference_table('kind');
INSERT INTO ride VALUES ('trouble1', 1, 'a'), ('trouble1', 2, 'b');

-- Enrolled tables keep what merging stands on
\set SHOW_CONTEXT never
ALTER TABLE ride RENAME COLUMN car TO vehicle;
ALTER TABLE ride DROP CONSTRAINT ride_pkey;
ALTER TABLE ride DROP COLUMN _version;
ALTER TABLE ride ALTER COLUMN _version DROP NOT NULL;
ALTER TABLE ride ADD UNIQUE (note);
CREATE UNIQUE INDEX ON ride (note);
ALTER TABLE ride DISABLE TRIGGER ALL;
ALTER TABLE ride RENAME TO drive;
ALTER TABLE kind RENAME TO sort;
ALTER TABLE kind DROP CONSTRAINT kind_pkey;
ALTER TABLE ride SET SCHEMA public;
ALTER SCHEMA trouble RENAME TO elsewhere;
DROP TRIGGER zz_vectorshard_before ON ride;
ALTER TRIGGER zz_vectorshard_after ON ride RENAME TO other;
DROP FOREIGN TABLE ride_elsewhere;
ALTER TABLE ride_elsewhere NO INHERIT ride;
-- Everything else may be altered, and tables that are not enrolled anyhow
ALTER TABLE ride ADD COLUMN more int;
ALTER TABLE ride RENAME COLUMN note TO words;
CREATE INDEX ON ride (words);
CREATE TABLE plain (id int PRIMARY KEY, v int);
ALTER TABLE plain DISABLE TRIGGER ALL;
ALTER TABLE plain RENAME TO simple;
TRUNCATE ride;
MERGE INTO ride r USING (VALUES ('trouble1', 1)) v (c, i) ON r.car = v.c AND r.id = v.i WHEN MATCHED THEN DELETE;
SELECT car, id, words, more FROM ride ORDER BY 1, 2;

-- Null and empty arguments
SELECT vectorshard.create_vector_shard_table(NULL, 'car');
SELECT vectorshard.create_vector_shard_table('simple', NULL);
SELECT vectorshard.create_reference_table(NULL);
SELECT vectorshard.undistribute_table(NULL);
SELECT vectorshard.join_fabric('x', NULL, ST_SetSRID(ST_MakePoint(1, 1), 4326));
SELECT vectorshard.move_to_hot(''), vectorshard.move_to_hot('no/such"name');
SELECT vectorshard.move_to_hot(NULL::text);
SELECT vectorshard.drop_store('nowhere');
SELECT vectorshard.remove_node(NULL);
SELECT vectorshard.bad_location('SRID=4326;POINT EMPTY'), vectorshard.bad_coverage('SRID=4326;POLYGON EMPTY');
INSERT INTO ride VALUES ('', 1);
SELECT count(*) FROM ride WHERE car = 'nobody';
UPDATE ride SET words = 'x' WHERE car = 'nobody';

SELECT vectorshard.undistribute_table('kind');
DROP SCHEMA trouble CASCADE;
