# Topology: one node and its standby. A partition has indexes of every kind and constraints of its own; it goes to a store and comes back.
# Proves: all of them are valid and complete afterwards; statements that build indexes concurrently, and updates of other tables that have waited, do right by stubs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\n");
my $c1 = $f->node('c1');
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->sql('c1', q{
	CREATE TABLE event (id int, at date NOT NULL, words text, tags int[], span int4range, n int, PRIMARY KEY (id, at) INCLUDE (n)) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i % 300, 'Word ' || i % 700, ARRAY[i % 10, i % 7], int4range(i, i + 1), i % 50 FROM generate_series(1, 4000) i;
	CREATE INDEX event_lower ON event (lower(words) text_pattern_ops) WHERE n > 5;
	CREATE INDEX event_tags ON event USING gin (tags);
	CREATE INDEX event_brin ON event USING brin (at);
	CREATE INDEX event_hash ON event USING hash (words);
	CREATE INDEX event_span ON event USING gist (span);
	CREATE INDEX event_desc ON event (n DESC NULLS LAST, words COLLATE "C");
	ALTER TABLE event_1 ADD CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED;
	ALTER TABLE event_1 ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&);
	ALTER TABLE event_1 REPLICA IDENTITY USING INDEX event_1_pkey; ALTER TABLE event_1 CLUSTER ON event_1_pkey;
	CREATE STATISTICS stats ON n, words FROM event_1;
	CREATE TABLE heap (k int PRIMARY KEY, n int); INSERT INTO heap SELECT i, 0 FROM generate_series(1, 5) i;
	ANALYZE;
});
sub state_of { my ($move) = @_; return "SELECT state FROM vectorshard.tier_moves WHERE move = $move"; }
my $indexes = q{SELECT string_agg(pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid || i.indisready || i.indisreplident || i.indisclustered || i.indimmediate, E'\n' ORDER BY i.indexrelid) FROM pg_index i WHERE indrelid = 'event_1'::regclass};
my $before = $f->sql('c1', $indexes);
# Queries that an index answers, with and without it.
my @asked = (q{lower(words) LIKE 'word 1%' AND n > 5}, q{tags @> '{3,4}'}, q{at BETWEEN '2020-02-01' AND '2020-02-03'}, q{words = 'Word 77'}, q{span && '[100,120)'}, 'n = 7', 'id = 77');
sub answers {
	my ($how) = @_;
	return join ' ', map { $f->sql('c1', "$how; SELECT count(*) || ':' || coalesce(sum(id), 0) FROM event WHERE $_") } @asked;
}
my $truth = answers('SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off');
my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'done', 'in the store');
is($f->sql('c1', $indexes), $before, 'every index is still there, and valid');
is(answers('SET enable_seqscan = off'), $truth, 'no query looks into them');
is($f->sql('c1', q{SELECT max(pg_relation_size(indexrelid)) < 100000 FROM pg_index WHERE indrelid = 'event_1'::regclass}), 't', 'they are small');
$f->sql('c1', 'CREATE INDEX CONCURRENTLY event_1_late ON event_1 (n, id)');
$f->sql('c1', 'REINDEX INDEX CONCURRENTLY event_1_late');
like($f->error_of('c1', 'REINDEX INDEX CONCURRENTLY event_1_pkey'), qr/55000: .*unique index.*HINT/s, 'uniqueness is not proved again');
like($f->error_of('c1', 'CREATE UNIQUE INDEX CONCURRENTLY event_1_never ON event_1 (id, n)'), qr/55000/, 'nor newly');
$f->sql('c1', q{SELECT brin_summarize_new_values('event_1_at_idx')});
is(answers('SET enable_seqscan = off'), $truth, 'the same answers');

# A standby reads what its primary has in a store, and a clone of it, too.
$c1->backup('standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($c1, 'standby', has_streaming => 1);
$standby->start;
$c1->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) || ':' || sum(id) FROM event WHERE n = 7}), $f->sql('c1', q{SELECT count(*) || ':' || sum(id) FROM event WHERE n = 7}), 'a standby reads the stub');
is($standby->safe_psql('postgres', q{SELECT count(DISTINCT ctid) FROM event}), '4000', 'by its access method, too');
$standby->stop('immediate');

# An update of a heap that joins the stub and has waited for another one looks at the row in the store again.
my $first = $c1->background_psql('postgres');
$first->query_safe('BEGIN; UPDATE heap SET n = 100 WHERE k = 3');
my $second = $c1->background_psql('postgres');
$second->{stdin} .= q{UPDATE heap h SET n = h.n + e.id FROM event e WHERE e.id = h.k + 40 AND e.words = 'Word ' || (h.k + 40);} . "\n";
$second->{run}->pump_nb;
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE heap h%'}, '1', 'an update waits');
$first->query_safe('COMMIT');
$second->query_safe('SELECT 1');
is($f->sql('c1', q{SELECT string_agg(n::text, ' ' ORDER BY k) FROM heap}), '41 42 143 44 45', 'and then has the row of the store');
$_->quit for $first, $second;

$move = $f->sql('c1', q{SELECT vectorshard.move_to_hot('event_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'done', 'back');
$f->sql('c1', q{DROP INDEX event_1_late; DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT indexrelid FROM pg_index WHERE indrelid = 'event_1'::regclass AND NOT indisvalid LOOP
	EXECUTE format('DROP INDEX %s', i); END LOOP; END $$});
is($f->sql('c1', $indexes), $before, 'every index is as it was');
is($f->sql('c1', q{SELECT bool_and(c.reltuples > 3000) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE indrelid = 'event_1'::regclass AND amname = 'btree'}), 't', 'and is known to be of that size');
is(answers('SET enable_seqscan = off'), $truth, 'and has every row');
like($f->sql('c1', q{SET enable_seqscan = off; EXPLAIN SELECT FROM event_1 WHERE tags @> '{3,4}'}), qr/event_1_tags_idx/, 'they are used again');
like($f->error_of('c1', q{INSERT INTO event VALUES (77, '2020-12-31')}), qr/23505: .*once/s, 'the deferrable key holds');
like($f->error_of('c1', q{INSERT INTO event VALUES (-1, '2020-12-31', span => '[7,8)')} =~ s/, span => /, NULL, NULL, /r), qr/23P01: .*apart/s, 'the exclusion holds');
SKIP: {
	skip 'no amcheck', 1 if $c1->psql('postgres', 'CREATE EXTENSION amcheck');
	is($f->sql('c1', q{SELECT count(bt_index_check(i.indexrelid, true)) > 3 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE indrelid = 'event_1'::regclass AND amname = 'btree'}), 't', 'btrees are complete');
}
done_testing();
