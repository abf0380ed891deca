# Writes to a partition that is being moved give the move up (vectorshard.tier_late_writes = abort): at each state of the move, by INSERT, UPDATE,
# DELETE and TRUNCATE, at both isolation levels, with savepoints; and under writers that never stop, while moves go on. Every row that was
# committed is there once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.placement_mode = off\nvectorshard.tiering_interval_ms = 200\nvectorshard.tier_late_writes = abort\n");
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->sql('c1', q{
	CREATE TABLE event (id int NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i % 300, md5(i::text) FROM generate_series(1, 4000) i;
	ANALYZE event;
	CREATE TABLE ledger (id int);
	CREATE ROLE app; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON event, event_1, ledger TO app;
});
sub hash { return $f->sql('c1', q{SELECT count(*) || coalesce(md5(string_agg(e::text, '|' ORDER BY id)), '') FROM event e}); }
sub state_of { my ($move) = @_; return "SELECT state FROM vectorshard.tier_moves WHERE move = $move"; }
sub session { return $f->node('c1')->background_psql('postgres'); }
sub objects { return scalar(my @all = glob "$store/node1/*.parquet"); }
sub set_to {
	my ($name, $value) = @_;
	$f->sql('c1', "ALTER SYSTEM SET vectorshard.$name = $value");
	return $f->sql('c1', 'SELECT pg_reload_conf()');
}

# How a move is kept in a state: a session that holds something, or a rate. What is in the way is taken away when the write is there.
my %held = (
	fenced => sub { my $s = session(); $s->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1'); return $s; },
	settled => sub { set_to('tier_rate_mb_s', 0.02); return; },
	verified => sub { my $s = session(); $s->query_safe('BEGIN; LOCK TABLE vectorshard.segment IN EXCLUSIVE MODE'); return $s; },
	registered => sub { my $s = session(); $s->query_safe('BEGIN; LOCK TABLE event IN ACCESS SHARE MODE'); return $s; },
);
my %write = (
	insert => q{INSERT INTO event VALUES (nextval('late'), '2020-03-03', 'late')},
	update => q{UPDATE event SET words = words || '!' WHERE id = 100},
	delete => q{DELETE FROM event WHERE id = (SELECT max(id) FROM event_1)},
	copy => q{COPY event (id, at, words) FROM PROGRAM 'echo 20000,2020-04-04,copied' (FORMAT csv)},
	nested => q{BEGIN ISOLATION LEVEL REPEATABLE READ; SAVEPOINT a; INSERT INTO event VALUES (-1, '2020-03-03', 'no'); ROLLBACK TO a; INSERT INTO event VALUES (nextval('late'), '2020-03-03', 'nested'); COMMIT},
);
$f->sql('c1', 'CREATE SEQUENCE late START 10000; GRANT USAGE ON SEQUENCE late TO app');
for my $state ('fenced', 'settled', 'verified', 'registered') {
	for my $what (sort keys %write) {
		my $keeper = $held{$state}->();
		my $before = hash();
		my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass, grace => '0 s')});
		$f->poll('c1', state_of($move), $state, "a move that is $state");
		$f->sql('c1', ($what eq 'copy' ? '' : 'SET ROLE app;') . $write{$what});
		my $after = hash();
		isnt($after, $before, "$state: $what goes through");
		$keeper->quit if $keeper;
		set_to('tier_rate_mb_s', 0);
		$f->poll('c1', state_of($move), 'failed', 'and gives the move up');
		like($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"), qr/written while it was moved|written by transaction/, 'for that reason');
		is(hash(), $after, 'the rows are those that were written');
		$f->sql('c1', q{DELETE FROM event WHERE id = 20000});
	}
}
is($f->sql('c1', q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zz_vectorshard_moving%'}), '0', 'no fence is left');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.tier_write}), '0', 'nor a note');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment WHERE state = 'live'}), '0', 'nor a segment');
is(objects(), $f->sql('c1', q{SELECT count(*) FROM vectorshard.segment}), 'nor an object, but of segments that were registered, which are kept a while');

# A writer that is open while everything else is ready: the swap waits for it.
my $writer = session();
my $keeper = $held{verified}->();
my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'verified', 'a move that is verified');
$writer->query_safe(q{BEGIN; INSERT INTO event VALUES (30000, '2020-05-05', 'open')});
$keeper->quit;
$f->poll('c1', "SELECT state = 'registered' AND errors > 0 FROM vectorshard.tier_moves WHERE move = $move", 't', 'the swap waits for the writer');
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering' AND wait_event_type = 'Lock'}, '1', 'again');
$writer->query_safe('COMMIT');    # the lock is given to the swap, which looks once more
$f->poll('c1', state_of($move), 'failed', 'and is not made');
is($f->sql('c1', q{SELECT count(*) FROM event WHERE id = 30000}), '1', 'the row is there');

# One that takes back what it wrote gives up nothing.
$keeper = $held{verified}->();
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'verified', 'again');
$writer->query_safe(q{BEGIN; INSERT INTO event VALUES (30001, '2020-05-05', 'no'); ROLLBACK});
my $truth = hash();
$keeper->quit;
$f->poll('c1', state_of($move), 'done', 'a write that was rolled back does not count');
is(hash(), $truth, 'the rows are the same');
like($f->error_of('c1', q{INSERT INTO event VALUES (1, '2020-02-02', 'cold')}), qr/ERROR/, 'in the store they are not written');
$writer->quit;
my $back = $f->sql('c1', q{SELECT vectorshard.move_to_hot('event_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($back), 'done', 'back');

# TRUNCATE, too.
$keeper = $held{fenced}->();
$f->sql('c1', q{INSERT INTO event SELECT i, '2021-01-01', 'x' FROM generate_series(40001, 40100) i});
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_2'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'fenced', 'another partition');
$f->sql('c1', 'TRUNCATE event_2');
$keeper->quit;
$f->poll('c1', state_of($move), 'failed', 'TRUNCATE gives the move up');
is($f->sql('c1', 'SELECT count(*) FROM event_2'), '0', 'and has truncated');

# A partition with keys stays attached, and becomes a stub: the same there.
$f->sql('c1', q{CREATE TABLE keyed (id int, at date, words text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO keyed SELECT i, date '2020-01-01' + i % 300, 'x' FROM generate_series(1, 1000) i});
$keeper = session();
$keeper->query_safe('BEGIN; LOCK TABLE keyed_1 IN ACCESS SHARE MODE');
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('keyed_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'registered', 'a partition with a key waits for its swap');
$writer = session();
$writer->query_safe(q{BEGIN; INSERT INTO keyed VALUES (5000, '2020-05-05', 'late') ON CONFLICT DO NOTHING; UPDATE keyed SET words = 'changed' WHERE id = 7});
$keeper->quit;
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering' AND wait_event_type = 'Lock'}, '1', 'and then for a writer');
$writer->query_safe('COMMIT');
$f->poll('c1', state_of($move), 'failed', 'which gives it up');
is($f->sql('c1', q{SELECT count(*), count(*) FILTER (WHERE words IN ('late', 'changed')) FROM keyed}), '1001|2', 'what was written is there');
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('keyed_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'done', 'without writers it goes');
like($f->error_of('c1', q{INSERT INTO keyed VALUES (5001, '2020-05-05', 'cold')}), qr/ERROR/, 'and is not written there');
# The worker may hear of the rate after the move: then that was too fast to be looked at, and is made again.
my $slow = 'f';
for (1 .. 10) {
	set_to('tier_rate_mb_s', 0.0002);
	$move = $f->sql('c1', q{SELECT vectorshard.move_to_hot('keyed_1'::regclass, grace => '0 s')});
	my $is = "SELECT phase IS NOT DISTINCT FROM 'loading' AND rows > 0 AND rows_expected = 1001 AS slow, state = 'done' AS done FROM vectorshard.tier_moves WHERE move = $move";
	$f->poll_until('c1', "SELECT slow OR done FROM ($is) s", 't');
	$slow = $f->sql('c1', "SELECT NOT done FROM ($is) s");
	last if $slow eq 't';
	set_to('tier_rate_mb_s', 0);
	my $again = $f->sql('c1', q{SELECT vectorshard.move_to_cold('keyed_1'::regclass, grace => '0 s')});
	$f->poll_until('c1', state_of($again), 'done');
}
is($slow, 't', 'it comes back slowly, and tells');
set_to('tier_rate_mb_s', 0);
$f->poll('c1', state_of($move), 'done', 'then at once');
is($f->sql('c1', q{SELECT count(*), count(*) FILTER (WHERE words IN ('late', 'changed')) FROM keyed}), '1001|2', 'with all rows');
$writer->quit;

# Writers that never stop for long, while the partition goes back and forth: who could write has written once, who could not, not at all.
$f->sql('c1', 'TRUNCATE event_1, ledger');
$f->sql('c1', q{INSERT INTO event SELECT i, '2020-01-01', 'x' FROM generate_series(1, 500) i; INSERT INTO ledger SELECT generate_series(1, 500)});
my @writers = map { $f->node('c1')->background_psql('postgres', on_error_stop => 0) } 0 .. 2;
for my $w (0 .. 2) {
	$writers[$w]->{stdin} .= join '', map {
		my $id = 100000 * ($w + 1) + $_;
		"BEGIN; INSERT INTO ledger VALUES ($id); INSERT INTO event VALUES ($id, '2020-06-06', 'busy'); SELECT pg_sleep(random() * 0.02); COMMIT;\n" . ($_ % 20 ? '' : "SELECT pg_sleep(random() * 2);\n")
	} 1 .. 160;
	$writers[$w]->{stdin} .= "\\echo ended\n";
	$writers[$w]->{run}->pump_nb;
}
my %ended = (done => 0, failed => 0);
my $until = time + 60;
while (time < $until && grep { $_->{stdout} !~ /ended/ } @writers) {
	$_->{run}->pump_nb for @writers;
	my $cold = $f->sql('c1', q{SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname = 'event_1'}) ne 'heap';
	my ($rc, $out) = $f->node('c1')->psql('postgres', 'SELECT vectorshard.move_to_' . ($cold ? 'hot' : 'cold') . q{('event_1'::regclass, grace => '0 s')});
	next if $rc;
	$f->wait_for(sub { $_->{run}->pump_nb for @writers; $f->sql('c1', state_of($out)) =~ /done|failed/ }, 30);
	$ended{ $f->sql('c1', state_of($out)) }++ unless $cold;
}
ok(!(grep { $_->{stdout} !~ /ended/ } @writers), 'the writers have ended');
note("moves to the store: $ended{done} done, $ended{failed} given up");
cmp_ok($ended{failed}, '>', 0, 'some moves were given up');
$_->quit for @writers;
$f->poll('c1', q{SELECT count(*) FROM vectorshard.tier_moves WHERE state NOT IN ('done', 'failed')}, '0', 'all moves have ended');
is($f->sql('c1', q{SELECT count(*) FROM event e FULL JOIN ledger l USING (id) WHERE e.id IS NULL OR l.id IS NULL}), '0', 'what was committed is there, and nothing else');
is($f->sql('c1', q{SELECT count(*) FROM (SELECT id FROM event GROUP BY id HAVING count(*) > 1) x}), '0', 'once');
cmp_ok($f->sql('c1', 'SELECT count(*) FROM ledger'), '>', 500, 'writers got through');

done_testing();
