# Topology: core c1 (home), edges e1 and e2; client "car" is resident on all three.
# Proves: a change made anywhere reaches every holder and the home, with its version, whatever its type; unchanged TOAST
# values arrive; deletes and changed keys arrive; nodes that do not hold a client are not sent its rows; concurrent writers
# of the same rows on three nodes end with equal rows.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ]);
my @nodes = ('c1', 'e1', 'e2');

# Types are the application's to make on each node.
$f->sql($_, q{CREATE TYPE mood AS ENUM ('calm', 'busy'); CREATE DOMAIN plate AS text CHECK (length(value) < 12)}) for @nodes;
$f->sql('c1', q{
  CREATE TABLE trip (car text, id int, gone int, mood mood, plate plate, at geometry(Point, 4326), parts int[],
                     cost numeric(12, 3), doc jsonb, span interval, when_at timestamptz, f float8,
                     raw bytea, big text, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (car, id));
  ALTER TABLE trip DROP COLUMN gone;
  ALTER TABLE trip ALTER big SET STORAGE EXTERNAL;
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE visit (site uuid, device int, n int NOT NULL DEFAULT 0, PRIMARY KEY (device, site));
  SELECT vectorshard.create_vector_shard_table('visit', 'device');
  CREATE TABLE kind (id int PRIMARY KEY, words text);
  SELECT vectorshard.create_reference_table('kind');
});
for my $n ('e1', 'e2') { $f->poll($n, q{SELECT count(*) FROM pg_class WHERE relname IN ('trip', 'visit', 'kind')}, '3', "$n has the tables"); }

# Each node inserts a row of the same client: that makes it resident there.
my $i = 0;
for my $n (@nodes) { $i++; $f->sql($n, "INSERT INTO trip (car, id, big) VALUES ('car', $i, repeat('$n', 3))"); }

sub equal {
	my ($what, $client, $count, @where) = @_;
	@where = @nodes unless @where;
	for my $n (@where) { $f->poll($n, "SELECT count(*) FROM ONLY trip WHERE car = '$client'", $count, "$what: $n has $count rows"); }
	my $digest = $f->sql('c1', "SELECT vectorshard.client_digest('$client')");
	for my $n (@where) {
		$f->poll($n, "SELECT vectorshard.client_digest('$client')", $digest, "$what: $n has the same versions");
		is($f->client_hash($n, 'trip', $client, 'car'), $f->client_hash('c1', 'trip', $client, 'car'), "$what: $n has the same values");
	}
}
equal('inserts', 'car', 3);

# Every kind of value, nulls among them.
$f->sql('e1', q{INSERT INTO trip (car, id, mood, plate, at, parts, cost, doc, span, when_at, f, raw)
  VALUES ('car', 10, 'busy', 'AB 12', ST_SetSRID(ST_MakePoint(-122.4, 37.7), 4326), '{1,NULL,3}', 12345.678, '{"a": [1, "ü"]}',
          '1 mon 2 days', '2026-03-01 12:00:00.123456+00', 0.1::float8 + 0.2::float8, '\x00ff')});
equal('types', 'car', 4);
is($f->sql('e2', q{SELECT twice FROM ONLY trip WHERE id = 10}), '20', 'a generated column is computed at the receiver');

# A value that lies out of line and is not touched by an update is not in the WAL: the sender fills it.
$f->sql('e1', q{INSERT INTO trip (car, id, big) SELECT 'car', 11, string_agg(md5(g::text), '') FROM generate_series(1, 3000) g});
$f->sql('e1', q{UPDATE trip SET cost = 1 WHERE id = 11});
$f->sql('e2', q{SELECT 1});
equal('unchanged TOAST', 'car', 5);
is($f->sql('c1', q{SELECT length(big) || ' ' || cost FROM ONLY trip WHERE id = 11}), '96000 1.000', 'unchanged TOAST: the value is there');
$f->sql('e1', q{BEGIN; UPDATE trip SET cost = 2 WHERE id = 11; DELETE FROM trip WHERE id = 11; COMMIT});
equal('updated and deleted at once', 'car', 4);

# Deletes, a changed key, a rolled back transaction, savepoints.
$f->sql('e2', q{DELETE FROM trip WHERE id = 2});
$f->sql('c1', q{UPDATE trip SET id = 30 WHERE id = 3});
$f->sql('e1', q{BEGIN; INSERT INTO trip (car, id) VALUES ('car', 40); ROLLBACK});
$f->sql('e1', q{BEGIN; INSERT INTO trip (car, id) VALUES ('car', 41); SAVEPOINT s; INSERT INTO trip (car, id) VALUES ('car', 42);
                ROLLBACK TO s; COMMIT});
equal('delete, changed key, savepoint', 'car', 4);
is($f->sql('e2', q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM ONLY trip}), '1 10 30 41', 'the rows that should be there');

# A client on one edge only: its rows go to the home, not to the other edge.
$f->sql('e1', q{INSERT INTO trip (car, id) SELECT 'only e1', g FROM generate_series(1, 5000) g});
equal('one transaction of many rows', 'only e1', 5000, 'c1', 'e1');
is($f->sql('e2', q{SELECT count(*) FROM ONLY trip WHERE car = 'only e1'}), '0', 'e2 is not sent rows of a client it does not hold');

# A client column that is a number, and is not the first column of the key's table.
$f->sql('e2', q{INSERT INTO visit SELECT gen_random_uuid(), 7 FROM generate_series(1, 10)});
$f->poll('c1', q{SELECT count(*) FROM ONLY visit WHERE device = 7}, '10', 'rows of a client that is a number');

# Reference rows, written on two edges.
$f->sql('e1', q{INSERT INTO kind VALUES (1, 'one'), (2, 'two')});
$f->sql('e2', q{INSERT INTO kind VALUES (3, 'three')});
for my $n (@nodes) { $f->poll($n, q{SELECT count(*) FROM kind}, '3', "$n has the reference rows"); }
$f->sql('c1', q{DELETE FROM kind WHERE id = 2; UPDATE kind SET words = 'ONE' WHERE id = 1});
for my $n (@nodes) { $f->poll($n, q{SELECT string_agg(words, ' ' ORDER BY id) FROM kind}, 'ONE three', "$n has them changed"); }

# Three nodes write the same rows at once.
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{
\set id random(100, 120)
\set what random(1, 10)
\if :what = 1
DELETE FROM trip WHERE car = 'car' AND id = :id;
\else
INSERT INTO trip (car, id, f) VALUES ('car', :id, random()) ON CONFLICT (car, id) DO UPDATE SET f = excluded.f;
\endif
});
my @running;
for my $n (@nodes) {
	push @running, IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-t', '400', '--max-tries=10', '-f', $script, '-h', $f->node($n)->host, '-p',
		$f->node($n)->port, 'postgres' ], '>', \my $out, '2>', \my $err);
}
ok($_->finish, 'a writer ends without an error') for @running;
my $same = 0;
for (1 .. 300) {
	my %digests = map { $f->sql($_, q{SELECT vectorshard.client_digest('car')}) => 1 } @nodes;
	$same = keys %digests == 1;
	last if $same && $f->sql('c1', q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag}) eq '0';
	Time::HiRes::usleep(100_000);
}
ok($same, 'concurrent writers: equal versions on all nodes');
my %hashes = map { $f->client_hash($_, 'trip', 'car', 'car') => 1 } @nodes;
is(scalar(keys %hashes), 1, 'concurrent writers: equal values on all nodes');
is($f->sql($_, q{SELECT count(*) FROM vectorshard.conflict WHERE payload IS NOT NULL}), '0', "$_ has no dead letters") for @nodes;

done_testing();
