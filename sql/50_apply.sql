-- Apply: the clock, the triggers of enrolled tables, and merging of batches put together by hand.
SET client_min_messages = warning;
CREATE ROLE regress_apply_owner;
GRANT CREATE ON SCHEMA public TO regress_apply_owner;
SET ROLE regress_apply_owner;
CREATE TABLE item (
  client text COLLATE "C",
  id     bigint,
  v      text,
  twice  bigint GENERATED ALWAYS AS (id * 2) STORED,
  PRIMARY KEY (client, id)
);
RESET ROLE;
SELECT vectorshard.create_vector_shard_table('item', 'client');

-- The clock: versions grow, carry this node, tell the time, and are bounded by a file.
SELECT a < b AS grows, b & 1023 AS node, vectorshard.version_time(b) BETWEEN now() - interval '1 minute' AND clock_timestamp() + interval '1 minute' AS timely
  FROM (SELECT vectorshard.next_version() AS a, vectorshard.next_version() AS b) AS v;
SELECT split_part(pg_read_file('vectorshard/clock'), E'\n', 2)::bigint > vectorshard.next_version() AS bounded;

-- The trigger stamps, keeps the version of what did not change, and cannot be talked into another one.
INSERT INTO item VALUES ('car1', 1, 'one'), ('car1', 2, 'two');
CREATE TEMP TABLE seen AS SELECT id, _version FROM ONLY item;
UPDATE item SET v = v, _version = 5 WHERE client = 'car1';
SELECT i.id, i.v, i._version = s._version AS kept FROM ONLY item i JOIN seen s USING (id) ORDER BY id;
UPDATE item SET v = 'uno', _version = 5 WHERE client = 'car1' AND id = 1;
SELECT i.id, i.v, i._version > s._version AS newer FROM ONLY item i JOIN seen s USING (id) ORDER BY id;
-- A changed key is a delete and an insert; a delete leaves a tombstone newer than the row.
UPDATE item SET id = 3 WHERE client = 'car1' AND id = 1;
DELETE FROM item WHERE client = 'car1' AND id = 2;
SELECT t.table_name, t.key, t.client, t._version > s._version AS newer
  FROM vectorshard.tombstone t JOIN seen s ON t.key[2] = s.id::text WHERE t.table_name = 'public.item' ORDER BY key;
INSERT INTO item VALUES ('car1', 2, 'again');
SELECT i.id, i.v, t._version IS NULL OR t._version < i._version AS alive
  FROM ONLY item i LEFT JOIN vectorshard.tombstone t ON t.key = ARRAY[i.client, i.id::text] ORDER BY id;
TRUNCATE ONLY item;
SELECT vectorshard.row_version();

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
CREATE FUNCTION batch.item(client text, id bigint, v text, version bigint) RETURNS bytea LANGUAGE sql AS
$$ SELECT batch.le(0, 2) || batch.le(0, 4) || batch.le(version, 8)
       || batch.str(client) || batch.str(int8send(id)) || batch.str(v) || batch.str(int8send(version)) $$;
CREATE FUNCTION batch.items(kind int, node int, client text, VARIADIC rows bytea[]) RETURNS bytea LANGUAGE sql AS
$$ SELECT batch.make(kind, node, 'public.item', '{client,text,id,bigint,v,text,_version,bigint}', client, VARIADIC rows) $$;
CREATE FUNCTION batch.dead(kind int, node int, client text, id bigint, version bigint) RETURNS bytea LANGUAGE sql AS
$$ SELECT batch.make(kind, node, 'vectorshard.tombstone',
     '{table_name,text,key,text[],client,text,deleted_at,timestamp with time zone,_version,bigint}', client,
     batch.le(0, 2) || batch.le(0, 4) || batch.le(version, 8) || batch.str('public.item')
       || batch.str(array_send(ARRAY[client, id::text])) || batch.str(client)
       || batch.str(timestamptz_send(now())) || batch.str(int8send(version))) $$;
CREATE FUNCTION batch.reply(reply bytea, OUT applied int, OUT stale int, OUT dead int, OUT refused text) LANGUAGE sql AS $$
  SELECT get_byte(reply, 12), get_byte(reply, 16), get_byte(reply, 20),
         CASE WHEN get_byte(reply, 24) > 0
              THEN ('{copying,gone,schema,cold,no_table}'::text[])[get_byte(reply, length(reply) - 9) + 1] END $$;
CREATE FUNCTION batch.apply(b bytea, OUT applied int, OUT stale int, OUT dead int, OUT refused text) LANGUAGE sql AS $$
  WITH r AS MATERIALIZED (SELECT vectorshard.apply(b) AS bytes) SELECT x.* FROM r, batch.reply(r.bytes) AS x $$;
CREATE VIEW batch.now AS
  SELECT id, v, twice, _version & 1023 AS writer FROM ONLY item WHERE client = 'car1' ORDER BY id;

-- Versions of node 9, counted in steps of 1024 from a moment before everything below.
SELECT (vectorshard.next_version() & ~1023) + 9 AS base \gset
UPDATE item SET v = 'local' WHERE client = 'car1' AND id = 2;
-- Of two rows with one key the newer, whatever their order; nothing over a newer local row; twice is as good as once.
SELECT batch.items(0, 9, 'car1', batch.item('car1', 2, 'late', :base), batch.item('car1', 4, 'newer', :base + 2048),
                   batch.item('car1', 4, 'new', :base + 1024)) AS b \gset
SELECT * FROM batch.apply(:'b');
SELECT * FROM batch.now;
SELECT * FROM batch.apply(:'b');
-- What lost is told.
SELECT kind, table_name, client, key, reason, winner_node, loser_node, resolved IS NOT NULL AS resolved
  FROM vectorshard.conflicts WHERE table_name = 'public.item' ORDER BY conflict;
-- Tombstones remove, once, and what is older stays away.
SELECT * FROM batch.apply(batch.dead(0, 9, 'car1', 4, :base + 4096));
SELECT * FROM batch.apply(batch.dead(0, 9, 'car1', 4, :base + 4096));
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 4, 'zombie', :base + 3072)));
SELECT * FROM batch.apply(batch.items(1, 9, 'car1', batch.item('car1', 4, 'reborn', :base + 5120)));
-- An older tombstone changes nothing; one for a row never seen is kept for it.
SELECT * FROM batch.apply(batch.dead(0, 9, 'car1', 4, :base + 2048));
SELECT * FROM batch.apply(batch.dead(0, 9, 'car1', 77, :base + 2048));
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 77, 'zombie', :base + 1024)));
SELECT * FROM batch.now;

-- A row that cannot be merged alone is a dead letter; the others are merged; it is merged when its reason has gone.
ALTER TABLE item ADD CONSTRAINT polite CHECK (v <> 'bad');
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 10, 'bad', :base), batch.item('car1', 11, 'good', :base),
  batch.item('car1', 12, 'good', :base), batch.item('car1', 13, 'bad', :base)));
-- Redelivery does not record it again. A row from the future waits, one older than the tombstones kept here is put aside.
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 10, 'bad', :base)));
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 20, 'future', :base + (1::bigint << 40))));
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 21, 'ancient', 4096 + 9)));
SELECT kind, key, regexp_replace(reason, ' \(Fail.*', '') AS reason, resolved IS NOT NULL AS resolved
  FROM vectorshard.conflicts WHERE table_name = 'public.item' AND kind <> 'beaten' AND key NOT LIKE 'version%' ORDER BY conflict;
ALTER TABLE item DROP CONSTRAINT polite;
SELECT vectorshard.retry_conflicts();
SELECT kind, count(*), count(resolved) AS resolved FROM vectorshard.conflicts WHERE table_name = 'public.item' GROUP BY kind ORDER BY kind;
SELECT * FROM batch.now;

-- Merging runs with the rights of the table's owner.
ALTER TABLE item ADD CONSTRAINT whose CHECK (v <> 'whose' OR current_user = 'regress_apply_owner');
\set VERBOSITY terse
INSERT INTO item VALUES ('car1', 30, 'whose');
\set VERBOSITY default
SELECT * FROM batch.apply(batch.items(0, 9, 'car1', batch.item('car1', 30, 'whose', :base)));
ALTER TABLE item DROP CONSTRAINT whose;
SELECT * FROM vectorshard.batch_rows() AS r (a int);

-- What is not taken, and why: elsewhere, in a store, being copied, other columns, no such table.
INSERT INTO vectorshard.client VALUES ('away', 7, 1, 0), ('frozen', 1, 1, 0), ('coming', 7, 1, 0), ('ours', 1, 1, 0);
INSERT INTO vectorshard.cold_client VALUES ('frozen', 'none', now(), 1, '');
INSERT INTO vectorshard.holder VALUES ('coming', 1, 5, 'copying', 0);
SELECT c.client, x.* FROM unnest(ARRAY['away', 'frozen', 'coming']) AS c (client),
  batch.apply(batch.items(0, 9, c.client, batch.item(c.client, 1, 'x', :base))) AS x;
SELECT * FROM batch.apply(batch.make(0, 9, 'public.item', '{client,text,id,bigint,v,integer,_version,bigint}', 'car1',
  batch.item('car1', 1, 'x', :base)));
SELECT * FROM batch.apply(batch.make(0, 9, 'public.unknown', '{client,text,id,bigint,v,text,_version,bigint}', 'car1',
  batch.item('car1', 1, 'x', :base)));
-- A client whose home is here, and of which nothing is here, was born elsewhere.
SELECT * FROM batch.apply(batch.items(0, 9, 'ours', batch.item('ours', 1, 'x', :base)));
SELECT r.client, h.node, h.state, h.generation = r.generation AS same FROM vectorshard.resident r
  JOIN vectorshard.holder h USING (client) WHERE client = 'ours';
-- Home and epoch decide about client rows, whatever their version.
SELECT * FROM batch.apply(batch.make(0, 7, 'vectorshard.client', '{client,text,home,integer,epoch,bigint,_version,bigint}', '',
  batch.le(0, 2) || batch.le(0, 4) || batch.le(4096 + 7, 8) || batch.str('away') || batch.str(int4send(8))
    || batch.str(int8send(2)) || batch.str(int8send(4096 + 7))));
SELECT home, epoch, _version FROM vectorshard.client WHERE client = 'away';
-- The home's full state is taken whatever the age of its rows, but not if it was made before the tombstones kept here.
INSERT INTO vectorshard.client VALUES ('old', 9, 1, 0);
INSERT INTO vectorshard.resident (client, generation) VALUES ('old', 1);
SELECT overlay(batch.items(1, 9, 'old', batch.item('old', 1, 'ancient', 4096 + 9)) PLACING batch.le(:base, 8) FROM 18) AS b \gset
SELECT * FROM batch.apply(batch.items(1, 9, 'old', batch.item('old', 1, 'ancient', 4096 + 9)));
SELECT * FROM batch.apply(overlay(:'b'::bytea PLACING batch.le(8, 4) FROM 6));
SELECT * FROM batch.apply(:'b');
SELECT id, v FROM ONLY item WHERE client = 'old';
-- Bytes that are no batch, and a batch from ourselves.
SELECT vectorshard.apply('VSB1');
SELECT vectorshard.apply(batch.items(0, 1, 'car1', batch.item('car1', 1, 'x', :base)));

-- The digest depends on what is held, not on how it came about.
SELECT vectorshard.client_digest('car1') AS before \gset
UPDATE item SET v = v WHERE client = 'car1';
SELECT vectorshard.client_digest('car1') = :'before' AS same;
UPDATE item SET v = 'other' WHERE client = 'car1' AND id = 2;
SELECT vectorshard.client_digest('car1') = :'before' AS same;
SELECT vectorshard.collect_tombstones();

-- Leave the fabric as it was.
DELETE FROM vectorshard.cold_client WHERE client = 'frozen';
DELETE FROM vectorshard.holder WHERE client = 'coming';
DELETE FROM vectorshard.resident WHERE client = 'old';
DELETE FROM vectorshard.client WHERE client IN ('away', 'frozen', 'coming', 'ours', 'old');
DROP SCHEMA batch CASCADE;
SELECT vectorshard.undistribute_table('item');
DROP TABLE item;
REVOKE CREATE ON SCHEMA public FROM regress_apply_owner;
DROP ROLE regress_apply_owner;

-- flush_applied() where the WAL ends with a page: what is inserted next stands behind that page's header, what is flushed does not.
DO $$
DECLARE
  overhead int;
  at pg_lsn;
  behind int := -1;
  answer record;
BEGIN
  FOR i IN 1..10 LOOP  -- where one record lies within a page and nobody else wrote
    at := pg_current_wal_insert_lsn();
    overhead := pg_logical_emit_message(false, 'test', repeat('x', 1000)) - at - 1000;
    EXIT WHEN (at - '0/0') % 8192 < 6000;
  END LOOP;
  FOR i IN 1..1000 LOOP
    at := pg_current_wal_insert_lsn();
    CONTINUE WHEN (8192 - (at - '0/0') % 8192) < overhead + 300 AND pg_logical_emit_message(false, 'test', repeat('x', 1000)) IS NOT NULL;
    PERFORM pg_logical_emit_message(false, 'test', repeat('x', (8192 - (at - '0/0') % 8192 - overhead)::int));
    behind := (pg_current_wal_insert_lsn() - '0/0') % 8192;
    SELECT * INTO answer FROM vectorshard.flush_applied(true);
    IF answer.flushed < answer.written THEN RAISE EXCEPTION 'flushed to %, written to %', answer.flushed, answer.written; END IF;
    EXIT WHEN behind IN (24, 40);
  END LOOP;
  PERFORM set_config('test.behind_header', (behind IN (24, 40))::text, false);
END $$;
SELECT current_setting('test.behind_header') AS the_wal_ended_with_a_page;
