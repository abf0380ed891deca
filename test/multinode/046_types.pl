# Topology: core c1, edges e1 and e2; check_rate = 0, tombstone_retention_s = 60.
# Proves: rows of every kind of type, and every kind of change to a row, are the same bytes on all holders; a domain whose
# check fails on one node leaves a dead letter there; columns in another order, dropped, generated and identity columns; a
# client of one node that changes its key; TRUNCATE is refused; a collected tombstone does not let an old row return.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.keep_s = 100000\nvectorshard.check_rate = 0\nvectorshard.placement_mode = off\nvectorshard.tombstone_retention_s = 60\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad'); CREATE TYPE pair AS (a int, m mood); CREATE DOMAIN small AS int CHECK (VALUE < 100);
  CREATE TYPE span AS RANGE (subtype = numeric)$$)});
$f->sql('c1', q{CREATE TABLE thing (car text, id int, junk int, big text, big2 text, ints int[], moods mood[], doc jsonb, num numeric, short numeric(10,3),
    place geometry, geo geography, m mood, d small, r tstzrange, s span, mr int4multirange, p pair, ps pair[], bin bytea, iv interval, t text COLLATE "POSIX",
    f float8, ts timestamptz, u uuid, x xml, tv tsvector, net inet, bits bit varying, flag boolean,
    twice int GENERATED ALWAYS AS (id * 2) STORED, seq int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (car, id));
  ALTER TABLE thing DROP COLUMN junk;
  SELECT vectorshard.create_vector_shard_table('thing', 'car')});
$f->poll($_, q{SELECT to_regclass('thing') IS NOT NULL}, 't', "$_ has the table") for @nodes;
# Numbered differently on e2.
$f->sql($_, 'ALTER TABLE thing ADD COLUMN y1 text; ALTER TABLE thing ADD COLUMN y2 int') for 'c1', 'e1';
$f->sql('e2', 'ALTER TABLE thing ADD COLUMN y2 int; ALTER TABLE thing ADD COLUMN y1 text');
$f->sql($_, "INSERT INTO thing (car, id) VALUES ('car', ascii('$_'))") for @nodes[0, 1];
$f->sql('e2', q{INSERT INTO thing (car, id) VALUES ('car', 1)});

my $quiet = q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag};
sub same {
	my ($what) = @_;
	$f->poll($_, $quiet, '0', "$what: $_ owes nothing", 90) for @nodes;
	my $digests = q{SELECT string_agg(vectorshard.client_digest(c), ' ') FROM unnest(ARRAY['car', 'cab']) c};
	my $home = $f->sql('c1', $digests);
	$f->poll($_, $digests, $home, "$what: $_ has the same bytes") for 'e1', 'e2';
	my $rows = q{SELECT count(*) || md5(string_agg((to_jsonb(t) || jsonb_build_object('n', num::text, 'f', f::text, 'p', p::text, 'ps', ps::text))::text, chr(10) ORDER BY car COLLATE "C", id)) FROM ONLY thing t};
	my $text = $f->sql('c1', $rows);
	$f->poll($_, $rows, $text, "$what: and the same text") for 'e1', 'e2';
	return;
}
my $values = q{repeat('long ' || %s, 5000), (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i), '{1,NULL,3}', '{sad,glad}',
  '{"a": [1, null, {"b": "c"}], "n": 1.10}', 'NaN', 12.5, ST_SetSRID(ST_MakePoint(1.5, -2.25, 3), 4326), 'POINT(1 2)', 'glad', 99,
  '[2026-01-01 00:00+00,2026-02-01 00:00+00)', '[1.5,)', '{[1,3),[5,8)}', '(7,sad)', '{"(1,ok)",NULL}', '\x00ff10', '1 mon -2 days 03:04:05.678', 'süß',
  '-0', '2026-03-29 01:30:00+00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '<a>b</a>', 'fat & rat', '10.1.2.3/24', B'10110', NULL};
$values =~ s/'fat & rat'/to_tsvector('simple', 'fat rat')/;
my $columns = 'big, big2, ints, moods, doc, num, short, place, geo, m, d, r, s, mr, p, ps, bin, iv, t, f, ts, u, x, tv, net, bits, flag';
for my $n (0 .. 2) {
	$f->sql($nodes[$n], "INSERT INTO thing (car, id, y1, y2, $columns) SELECT c, 10 * $n + 2, 'y', 7, " . sprintf($values, 'x') . " FROM unnest(ARRAY['car', 'cab']) c");
}
$f->sql('e1', q{INSERT INTO thing (car, id, num, f, short) VALUES ('car', 501, 'Infinity', 'NaN', NULL), ('car', 502, ('1e' || 1000)::numeric + 1, '-Infinity', 0), ('car', 503, '-1e-300', 4.9e-324, -0.001)});
same('inserted');
is($f->sql('e2', q{SELECT num || ' ' || f || ' ' || p::text || ' ' || ST_AsEWKT(place) || ' ' || twice FROM ONLY thing WHERE car = 'car' AND id = 2}),
	'NaN -0 (7,sad) SRID=4326;POINT(1.5 -2.25 3) 4', 'values as they were given');

# Unchanged TOAST values, of rows that other nodes change at the same time.
$f->sql($_, "UPDATE thing SET y2 = y2 + ascii('$_') WHERE car = 'car' AND id IN (2, 12)") for @nodes;
$f->sql('e1', q{UPDATE thing SET big = repeat('other ', 9000) WHERE car = 'car' AND id = 12});
$f->sql('e2', q{UPDATE thing SET y1 = 'z' WHERE car = 'car' AND id = 12});
$f->sql('c1', q{UPDATE thing SET ints[2] = 2, doc = doc || '{"k": 1}', p.a = 8, big2 = NULL WHERE car = 'cab'});
same('updated');

# Keys that change, within a client and to another one; what was there before is gone everywhere.
$f->sql('e1', q{UPDATE thing SET id = 9002 WHERE car = 'car' AND id = 2});
$f->sql('e2', q{UPDATE thing SET car = 'cab', id = 9003 WHERE car = 'car' AND id = 12});
same('keys changed');
is($f->sql('c1', q{SELECT string_agg(car || id, ' ' ORDER BY id) FROM ONLY thing WHERE id IN (2, 12, 9002, 9003) AND (car = 'car' OR id > 9000)}), 'car9002 cab9003', 'and only there');
like($f->error_of('e1', 'TRUNCATE thing'), qr/ERROR:  0A000.*\n.*HINT/s, 'TRUNCATE is refused with a hint');

# A check that one node has not: there the row waits, and the others have it.
$f->sql('e1', 'ALTER DOMAIN small DROP CONSTRAINT small_check; ALTER DOMAIN small ADD CONSTRAINT small_check CHECK (VALUE < 100) NOT VALID') ;
$f->sql($_, 'ALTER DOMAIN small DROP CONSTRAINT small_check') for 'c1', 'e2';
$f->sql('c1', q{INSERT INTO thing (car, id, d) VALUES ('car', 700, 100), ('car', 701, 50)});
$f->poll('e1', q{SELECT kind || ' ' || key FROM vectorshard.conflicts WHERE resolved IS NULL AND kind = 'dead_letter'}, 'dead_letter (car, 700)', 'a dead letter on the node whose check fails');
is($f->sql('e1', q{SELECT string_agg(id::text, ' ') FROM ONLY thing WHERE id IN (700, 701)}), '701', 'the other row is there');
$f->poll('e2', q{SELECT count(*) FROM ONLY thing WHERE id IN (700, 701)}, '2', 'and both elsewhere');
$f->sql('e1', 'ALTER DOMAIN small DROP CONSTRAINT small_check; SELECT vectorshard.retry_conflicts()');
same('dead letter merged');

# e2 writes a row that nobody gets, and is gone; the row is deleted; the tombstone's time passes.
my $shipper = $f->sql('e2', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
kill 'STOP', $shipper;
$f->sql('e2', q{UPDATE thing SET y1 = 'late' WHERE car = 'cab' AND id = 2});
$f->node('e2')->stop('immediate');
$f->sql('c1', q{DELETE FROM thing WHERE car = 'cab' AND id = 2});
$f->poll('e1', q{SELECT count(*) FROM ONLY thing WHERE car = 'cab' AND id = 2}, '0', 'deleted');
my $dead = q{SELECT count(*) FROM vectorshard.tombstone WHERE table_name = 'public.thing' AND key = '{cab,2}'};
my $collected = "SELECT vectorshard.collect_tombstones() IS NOT NULL";
$f->wait_for(sub { $f->sql('e1', $collected); return $f->sql('e1', $dead) eq '0' }, 120);
$f->sql('c1', $collected);
is($f->sql('e1', $dead) . $f->sql('c1', $dead), '01', 'the node that owes the delete keeps its tombstone, the other does not');
$f->start_again('e2');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'too_old' AND key = '(cab, 2)'}, '1', 'the old row is not taken without its tombstone');
$f->poll($_, q{SELECT count(*) FROM ONLY thing WHERE car = 'cab' AND id = 2}, '0', "and does not return on $_", 90) for @nodes;

done_testing();
