-- Types that merge: text and binary forms, operators, casts, aggregates, indexes, COPY, what the trigger makes of writes,
-- and merging of states put together by hand.
SET client_min_messages = warning;
-- A table that is not enrolled: numbers and arrays.
CREATE TABLE tally (id int PRIMARY KEY, n vectorshard.counter, s vectorshard.text_set, hi vectorshard.max_register, lo vectorshard.min_register);
INSERT INTO tally VALUES (1, 5, '{b,a,b}', 3, 3.50), (2, '7', ARRAY['x', 'a "q", b'], -1, 1e3), (3, 5::smallint, '{}', '-Infinity', 'Infinity'), (4, NULL, NULL, NULL, NULL);
SELECT * FROM tally ORDER BY id;
UPDATE tally SET n = n + 2, s = s + 'z' - 'a', hi = 9.0, lo = 2::float8 WHERE id = 1;
UPDATE tally SET n = 1 + n - 3::bigint, s = s + ARRAY['p', 'q'] - ARRAY['x', 'nothing'] WHERE id = 2;
SELECT * FROM tally ORDER BY n, id;
SELECT id FROM tally WHERE n > 6 AND s @> '{z}' AND '{z}' <@ s AND hi >= 9 AND lo < 2.5;
SELECT sum(n), max(n), min(n), count(n), max(hi), min(lo), sum(n::bigint), avg(n::numeric), sum(n) FILTER (WHERE false) AS none FROM tally;
SELECT n - 1 AS less, n + n AS twice, coalesce(n, 0) + 1 AS next, 10 - n AS rest, n::bigint * 2 AS product, n::int, s::text[], cardinality(s),
       'z' = ANY (s::text[]) AS has_z, hi::numeric, lo::float8, hi::bigint, vectorshard.to_numeric(n) FROM tally WHERE id < 3 ORDER BY id;
SELECT n, count(*), count(DISTINCT s) FROM tally GROUP BY n ORDER BY n;
SELECT t.id, u.id FROM tally t JOIN tally u USING (n) WHERE t.id < u.id;
SELECT to_json(n) #>> '{}' AS json, md5(n::text) = md5('7') AS text FROM tally WHERE id = 1;
-- Whose operands are other types is not disturbed.
SELECT 5 + '3' AS a, 5 > 3.5 AS b, greatest(1, 2.5) AS c, '{a}' || ARRAY['b'] AS d, ARRAY['a', 'b'] @> '{b}' AS e, '{"a": 1}' - 'a'::text AS f,
       1::smallint = 1::bigint AS g, 5 = '5'::oid AS h, 2::real < 3::bigint AS i, sum(x) AS j FROM generate_series(1, 3) x;
-- Indexes.
CREATE INDEX tally_n ON tally (n);
CREATE INDEX tally_s ON tally USING gin ((s::text[]));
CREATE INDEX tally_hi ON tally USING hash (hi);
ALTER TABLE tally ADD COLUMN double bigint GENERATED ALWAYS AS (n::bigint * 2) STORED;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM tally WHERE n > 5;
EXPLAIN (COSTS OFF) SELECT id FROM tally WHERE s::text[] @> ARRAY['z'];
EXPLAIN (COSTS OFF) SELECT id FROM tally WHERE hi = 9.00;
EXPLAIN (COSTS OFF) SELECT max(n) FROM tally;
SELECT id, double FROM tally WHERE n >= 5 ORDER BY n, id;
SELECT id FROM tally WHERE s::text[] @> ARRAY['z'];
SELECT id FROM tally WHERE hi = 9.00;
PREPARE by_n AS SELECT id FROM tally WHERE n = $1;
EXECUTE by_n(7);
RESET enable_seqscan;
-- What cannot be.
SELECT n * 2 FROM tally;
SELECT '{{a},{b}}'::vectorshard.text_set;
SELECT '{a,NULL}'::vectorshard.text_set;
SELECT 'NaN'::vectorshard.max_register;
SELECT '-Infinity'::vectorshard.min_register;
SELECT 'x'::vectorshard.counter;
SELECT s - 1 FROM tally;
SELECT ('9223372036854775807'::vectorshard.counter + 1)::bigint;
SELECT '9223372036854775807'::vectorshard.counter + 1 AS beyond;
SELECT 0::vectorshard.counter + 9223372036854775807 + 9223372036854775807;
SELECT '\x00'::vectorshard.counter;
SELECT '\x010009'::vectorshard.counter;
SELECT '\x01000900ffffffffffffffffff01'::vectorshard.counter;
SELECT '\x02000900000101ff00'::vectorshard.text_set;
SELECT '\x0200000102010103010180010003'::vectorshard.text_set;
SELECT '\x030000'::vectorshard.counter;
SELECT vectorshard.counter_in('5', 25, -1);
SELECT vectorshard.counter_in('{a}', 'vectorshard.text_set'::regtype, -1) + 1;
-- COPY: text is the value, binary the state.
\copy (SELECT id, n, s, hi, lo FROM tally ORDER BY id) TO 'out/tally.txt'
\copy (SELECT id, n, s, hi, lo FROM tally ORDER BY id) TO 'out/tally.bin' (FORMAT binary)
CREATE TABLE back (LIKE tally);
\copy back (id, n, s, hi, lo) FROM 'out/tally.txt'
\copy back (id, n, s, hi, lo) FROM 'out/tally.bin' (FORMAT binary)
SELECT id, n, s, hi, lo, count(*) FROM back GROUP BY 1, 2, 3, 4, 5 ORDER BY id;
SELECT count(*) AS states FROM back b JOIN tally t USING (id) WHERE vectorshard.counter_send(b.n) = vectorshard.counter_send(t.n);
DROP TABLE tally, back;

-- Enrolled: refusals, births, entries.
CREATE TABLE post (client text COLLATE "C", id int, title text, likes vectorshard.counter, tags vectorshard.text_set NOT NULL DEFAULT '{}',
  top vectorshard.max_register NOT NULL DEFAULT '-Infinity', PRIMARY KEY (client, id, likes));
\set VERBOSITY terse
SELECT vectorshard.create_vector_shard_table('post', 'client');
SELECT vectorshard.create_vector_shard_table('post', 'likes');
\set VERBOSITY default
ALTER TABLE post DROP CONSTRAINT post_pkey, ADD PRIMARY KEY (client, id), ALTER COLUMN likes DROP NOT NULL;
\set SHOW_CONTEXT never
SELECT vectorshard.create_vector_shard_table('post', 'client');
ALTER TABLE post ALTER COLUMN likes SET DEFAULT 0, ALTER COLUMN likes SET NOT NULL;
INSERT INTO post VALUES ('blog', 0, 'early', 3), ('blog', 100, 'early too', 4);
SELECT vectorshard.create_vector_shard_table('post', 'client');
SELECT id, likes, vectorshard.crdt_birth(likes) > 0 AS born, vectorshard.crdt_birth(likes) = lag(vectorshard.crdt_birth(likes)) OVER (ORDER BY id) AS shared
  FROM ONLY post ORDER BY id;
INSERT INTO post (client, id, title, likes, tags, top) VALUES ('blog', 1, 'one', 5, '{a}', 10), ('blog', 2, 'two', 5, '{a}', 10);
CREATE TABLE seen AS SELECT id, _version FROM ONLY post;
CREATE VIEW posts AS
  SELECT id, title, likes, tags, top, vectorshard.crdt_entries(likes) AS like_entries, vectorshard.crdt_entries(tags) AS tag_entries,
         vectorshard.crdt_birth(likes) = p._version AS born_last, p._version = s._version AS version_kept
    FROM ONLY post p JOIN seen s USING (id) ORDER BY id;
-- Changes that merge keep birth and version, whatever they are written with; other columns do not touch the values.
UPDATE post SET likes = likes + 2, tags = tags + 'b' - 'a', top = 3 WHERE client = 'blog' AND id = 1;
UPDATE post SET likes = 1 + likes - 5, top = 12.5 WHERE client = 'blog' AND id = 1;
SELECT * FROM posts WHERE id = 1;
UPDATE post SET title = 'uno' WHERE client = 'blog' AND id = 1;
-- As an ORM writes all columns back, and as an upsert counts.
UPDATE post SET title = 'uno!', likes = 3, tags = '{b}', top = 12.5 WHERE client = 'blog' AND id = 1;
INSERT INTO post (client, id, title, likes) VALUES ('blog', 1, 'x', 1) ON CONFLICT (client, id) DO UPDATE SET likes = post.likes + excluded.likes;
SELECT * FROM posts WHERE id = 1;
-- Assignments: a literal, a value of another row, fresh(), a changed key. A register takes what is beyond what it holds.
UPDATE post SET likes = 100, tags = '{q}', top = 7 WHERE client = 'blog' AND id = 1;
SELECT * FROM posts WHERE id = 1;
UPDATE post SET likes = (SELECT likes FROM post WHERE client = 'blog' AND id = 1), top = vectorshard.fresh(1::vectorshard.max_register)
 WHERE client = 'blog' AND id = 2;
SELECT * FROM posts WHERE id = 2;
UPDATE post SET likes = likes + 1 WHERE client = 'blog' AND id = 2;
UPDATE post SET id = 3 WHERE client = 'blog' AND id = 2;
SELECT likes, vectorshard.crdt_entries(likes) AS entries, vectorshard.crdt_birth(likes) = _version AS reborn FROM ONLY post WHERE id = 3;
-- A state that was read earlier, as another node forwards it, counts on what is there now. Forged entries have no effect.
SELECT vectorshard.crdt_state(likes) AS early FROM ONLY post WHERE id = 3 \gset
UPDATE post SET likes = likes + 10 WHERE client = 'blog' AND id = 3;
UPDATE post SET likes = :'early'::vectorshard.counter + 1000 WHERE client = 'blog' AND id = 3;
SELECT likes, vectorshard.crdt_entries(likes) AS entries FROM ONLY post WHERE id = 3;
-- Nulls.
UPDATE post SET likes = NULL WHERE client = 'blog' AND id = 3;
INSERT INTO post (client, id, likes) VALUES ('blog', 4, NULL);
-- A column added later has values that are not born yet; they count all the same.
ALTER TABLE post ADD COLUMN views vectorshard.counter NOT NULL DEFAULT 10;
UPDATE post SET views = views + 1 WHERE client = 'blog' AND id = 3;
SELECT views, vectorshard.crdt_birth(views) AS birth, vectorshard.crdt_entries(views) AS entries FROM ONLY post WHERE id = 3;
ALTER TABLE post DROP COLUMN views;

-- Merging. Node 2 counted 3 onto 5, node 3 knows of 1 of them and took 2 away; the value was born at version 9.
SELECT (vectorshard.next_version() & ~1023) + 9 AS base \gset
-- Batches by hand (docs/formats/wire.md).
CREATE SCHEMA batch;
CREATE FUNCTION batch.le(v bigint, width int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT string_agg(substr(int8send(v), 8 - i, 1), '' ORDER BY i) FROM generate_series(0, width - 1) i $$;
CREATE FUNCTION batch.str(v bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(batch.le(length(v), 4) || v, '\xffffffff') $$;
CREATE FUNCTION batch.str(v text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT batch.str(textsend(v)) $$;
CREATE FUNCTION batch.make(kind int, node int, tbl text, columns text[], client text, VARIADIC rows bytea[])
RETURNS bytea LANGUAGE sql AS $$
  SELECT 'VSB1'::bytea || batch.le(kind, 1) || batch.le(node, 4) || batch.le(1, 8) || batch.le(0, 8) || batch.le(0, 8)
      || batch.le(1, 2) || batch.str(tbl) || batch.le(cardinality(columns) / 2, 2)
      || (SELECT string_agg(batch.str(c), '' ORDER BY n) FROM unnest(columns) WITH ORDINALITY AS u (c, n))
      || batch.le(cardinality(columns) / 2 - 1, 2)
      || batch.le(1, 4) || batch.str(client) || batch.le(1, 1) || batch.le(0, 2)
      || batch.le(cardinality(rows), 4) || (SELECT string_agg(r, '' ORDER BY n) FROM unnest(rows) WITH ORDINALITY AS u (r, n)) $$;
CREATE FUNCTION batch.reply(reply bytea, OUT applied int, OUT stale int, OUT dead int, OUT refused text) LANGUAGE sql AS $$
  SELECT get_byte(reply, 12), get_byte(reply, 16), get_byte(reply, 20),
         CASE WHEN get_byte(reply, 24) > 0
              THEN ('{copying,gone,schema,cold,no_table}'::text[])[get_byte(reply, length(reply) - 9) + 1] END $$;
CREATE FUNCTION batch.apply(b bytea, OUT applied int, OUT stale int, OUT dead int, OUT refused text) LANGUAGE sql AS $$
  WITH r AS MATERIALIZED (SELECT vectorshard.apply(b) AS bytes) SELECT x.* FROM r, batch.reply(r.bytes) AS x $$;
CREATE FUNCTION batch.post(id int, title text, likes text, version bigint) RETURNS bytea LANGUAGE sql AS
$$ SELECT batch.make(0, 9, 'public.post', '{client,text,id,integer,title,text,likes,counter,tags,text_set,top,max_register,_version,bigint}', 'blog',
     batch.le(0, 2) || batch.le(0, 4) || batch.le(version, 8) || batch.str(textsend('blog')) || batch.str(int4send(id)) || batch.str(title)
       || batch.str(likes::bytea) || batch.str('\x0200090000'::bytea) || batch.str('\x03000900'::bytea) || batch.str(int8send(version))) $$;
CREATE FUNCTION batch.no_post(id int, version bigint) RETURNS bytea LANGUAGE sql AS
$$ SELECT batch.make(0, 9, 'vectorshard.tombstone',
     '{table_name,text,key,text[],client,text,deleted_at,timestamp with time zone,_version,bigint}', 'blog',
     batch.le(0, 2) || batch.le(0, 4) || batch.le(version, 8) || batch.str('public.post')
       || batch.str(array_send(ARRAY['blog', id::text])) || batch.str('blog')
       || batch.str(timestamptz_send(now())) || batch.str(int8send(version))) $$;
CREATE VIEW batch.posts AS SELECT id, title, likes, vectorshard.crdt_entries(likes) AS entries, _version & 1023 AS writer FROM ONLY post WHERE id BETWEEN 20 AND 29 ORDER BY id;
\set two '\\x0100090a010201010300'
\set three '\\x0100090a0202010101000301010002'
SELECT * FROM batch.apply(batch.post(20, 'new', :'two', :base + 2048));
SELECT * FROM batch.apply(batch.post(20, 'old', :'three', :base + 1024));
SELECT * FROM batch.posts;
-- Twice is as good as once; a newer row brings its columns and changes no value that knows it already.
SELECT * FROM batch.apply(batch.post(20, 'old', :'three', :base + 1024));
SELECT * FROM batch.apply(batch.post(20, 'newer', :'two', :base + 3072));
SELECT * FROM batch.posts;
SELECT kind, key, reason FROM vectorshard.conflicts WHERE table_name = 'public.post' ORDER BY conflict;
-- A later birth wins whole, whichever row is newer.
SELECT * FROM batch.apply(batch.post(20, 'old', '\x01000a6400', :base + 1024));
SELECT * FROM batch.apply(batch.post(20, 'newest', :'two', :base + 4096));
SELECT * FROM batch.posts;
-- A tombstone ends what was born before it, in a newer row too, in either order; a local change then starts from there.
SELECT * FROM batch.apply(batch.no_post(20, :base + 2048));
SELECT * FROM batch.apply(batch.no_post(21, :base + 2048));
SELECT * FROM batch.apply(batch.post(21, 'lives', :'two', :base + 3072));
UPDATE post SET likes = likes + 1 WHERE client = 'blog' AND id IN (20, 21);
SELECT * FROM batch.apply(batch.post(20, 'older', :'three', :base + 3072));
SELECT * FROM batch.apply(batch.post(21, 'older', :'three', :base + 1024));
SELECT *, (SELECT vectorshard.crdt_birth(likes) = :base + 2048 FROM ONLY post p WHERE p.id = b.id) AS born_of_tombstone FROM batch.posts b;
-- And at last the row goes as a whole.
SELECT * FROM batch.apply(batch.no_post(21, :base + 9216));
SELECT * FROM batch.posts;
-- Bytes that are no state are dead letters, and nothing else.
SELECT * FROM batch.apply(batch.post(22, 'bad', '\x0100090a01020101', :base + 1024));
SELECT kind, regexp_replace(key, '[0-9]+', 'N') AS key FROM vectorshard.conflicts WHERE table_name = 'public.post' AND kind = 'dead_letter';
DROP SCHEMA batch CASCADE;
DROP VIEW posts;
SELECT vectorshard.undistribute_table('post');
DROP TABLE seen, post;
