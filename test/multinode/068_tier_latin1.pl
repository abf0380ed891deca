# Topology: one node whose server speaks LATIN1.
# Proves: rows of packed clients and of a partition in a store are found by conditions on text there, too: DuckDB keeps such text as blobs, which it
# cannot be asked for by value.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', initdb => [ '-E', 'LATIN1', '--locale=C' ], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nclient_encoding = latin1\n");
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, words text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
	INSERT INTO trip SELECT 'k' || chr(228) || 'fer' || c, i, 'w' || chr(252) || i FROM generate_series(1, 3) c, generate_series(1, 50) i});
my $hash = q{SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY car, id)) FROM (SELECT car, id, words FROM trip WHERE car = 'k' || chr(228) || 'fer2' AND words <> 'x') t};
my $before = $f->sql('c1', $hash);
like($before, qr/^50/, 'rows of a client');
my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('k' || chr(228) || 'fer2')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', 'packed');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.cold_client}), '1', 'it is cold');
is($f->sql('c1', $hash), $before, 'its rows are found');
is($f->sql('c1', q{SELECT count(*) FROM trip}), '150', 'and all others');

$f->sql('c1', q{CREATE TABLE event (id int, day date, words text) PARTITION BY RANGE (day);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO event SELECT i, '2020-02-02', 'w' || chr(228 + i % 5) FROM generate_series(1, 1000) i});
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', 'a partition is moved');
is($f->sql('c1', q{SELECT count(*) FROM event WHERE words = 'w' || chr(229)}), '200', 'found by text');
is($f->sql('c1', q{SELECT count(*) FROM event WHERE words IN ('w' || chr(229), 'w' || chr(231)) AND id > 500}), '200', 'by a list');
is($f->sql('c1', q{SELECT string_agg(n || ' ' || words, ',' ORDER BY words) FROM (SELECT words, count(*) n FROM event GROUP BY words) g}),
	$f->sql('c1', q{SELECT string_agg('200 w' || chr(228 + i), ',' ORDER BY i) FROM generate_series(0, 4) i}), 'and grouped by it');
done_testing();
