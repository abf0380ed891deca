# Topology: core c1 (home), edges e1 and e2; ten clients resident on all three. peer_queue_mb = 1.
# Proves: a peer that is away makes its peers hold a bounded amount of WAL, then a list of clients; when it returns it is
# given what it lacks; a shipper, or a whole server, killed at any moment loses nothing; a slot that is gone means that
# everything is owed.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.peer_queue_mb = 1\nvectorshard.keep_s = 100000\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text);
  SELECT vectorshard.create_reference_table('kind')});
$f->poll($_, q{SELECT to_regclass('kind') IS NOT NULL}, 't', "$_ has the tables") for @nodes;
$f->sql($_, "INSERT INTO trip SELECT 'car' || c, ascii('$_'), '$_' FROM generate_series(1, 10) c ON CONFLICT DO NOTHING") for @nodes;

sub converge {
	my ($what) = @_;
	for my $n (@nodes) { $f->poll($n, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$what: $n owes nothing", 90); }
	my $digests = q{SELECT string_agg(vectorshard.client_digest('car' || c), ' ' ORDER BY c) FROM generate_series(1, 10) c};
	my $all = $f->sql('c1', $digests);
	for my $n (@nodes) {
		$f->poll($n, $digests, $all, "$what: $n has the same rows");
		is($f->sql($n, 'SELECT count(*) FROM ONLY trip'), $f->sql('c1', 'SELECT count(*) FROM ONLY trip'), "$what: $n has as many rows");
	}
}
converge('before');

# e2 is away. Its peers write much more than a queue may hold.
$f->node('e2')->stop('immediate');
my $before = $f->sql('e1', 'SELECT pg_current_wal_lsn()');
for my $round (1 .. 8) {
	$f->sql('e1', "INSERT INTO trip SELECT 'car' || c, $round * 1000 + g, repeat(md5(random()::text), 8) FROM generate_series(1, 10) c, generate_series(1, 250) g");
	$f->sql('c1', "INSERT INTO kind VALUES ($round, repeat(md5(random()::text), 100))");
}
$f->sql('e1', q{DELETE FROM trip WHERE id % 7 = 0});
$f->poll('e1', q{SELECT debts >= 10 FROM vectorshard.ship_lag WHERE node = 'e2'}, 't', 'the clients changed are debt');
my $written = $f->sql('e1', "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '$before')");
cmp_ok($written, '>', 4 * 1024 * 1024, "much WAL was written ($written bytes)");
$f->poll('e1', q{SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) < 2.5 * 1024 * 1024 FROM pg_replication_slots}, 't',
	'the slot holds back a bounded part of it');
is($f->sql('c1', q{SELECT connected FROM vectorshard.ship_lag WHERE node = 'e2'}), 'f', 'ship_lag says who is away');

# Local reads and writes go on, and the two that are left converge.
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 99999, 'while e2 is away')});
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE id = 99999}, 'while e2 is away', 'the others go on');
$f->start_again('e2');
converge('after the return');
is($f->sql('e2', 'SELECT count(*) FROM kind'), '8', 'reference rows caught up');

# kill -9 of servers and of a shipper while all write.
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{
\set car random(1, 10)
\set id random(1, 300)
INSERT INTO trip VALUES ('car' || :car, :id, md5(random()::text)) ON CONFLICT (car, id) DO UPDATE SET note = excluded.note;
});
sub writer {
	my ($n, $transactions) = @_;
	return IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-t', $transactions, '-f', $script, '-h', $f->node($n)->host, '-p', $f->node($n)->port,
		'postgres' ], '>', \my $out, '2>', \my $err);
}
for my $victim ('e1', 'c1', 'e2') {
	my %writers = map { $_ => writer($_, 1500) } @nodes;
	$f->poll($victim, q{SELECT count(*) > 0 FROM trip WHERE length(note) = 32}, 't', "$victim is written");
	$f->kill9_and_restart($victim);
	ok($writers{$_}->finish, "the writer at $_ ends without an error") for grep { $_ ne $victim } @nodes;
	$writers{$victim}->finish;
	converge("kill -9 of $victim");
}
my $writing = writer('e1', 1500);
my $pid = $f->sql('e1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
kill 'TERM', $pid;
$f->poll('e1', qq{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper' AND pid <> $pid}, '1', 'the shipper is started again');
ok($writing->finish, 'writing does not need the shipper');
converge('the shipper was terminated');

# The slot is gone, with changes in it that nobody has seen.
$f->node('c1')->stop('immediate');
$f->sql('e1', q{UPDATE trip SET note = 'unseen' WHERE car = 'car3'});
$f->node('e1')->stop('immediate');
my ($slot) = glob($f->node('e1')->data_dir . '/pg_replslot/vectorshard_*');
ok($slot && system('rm', '-rf', $slot) == 0, 'the slot is removed');
$f->start_again('e1');
$f->start_again('c1');
$f->poll('c1', q{SELECT count(*) FILTER (WHERE note = 'unseen') = count(*) FROM ONLY trip WHERE car = 'car3'}, 't', 'what only the slot knew arrives');
converge('a lost slot');

done_testing();
