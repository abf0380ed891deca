# Topology: core c1 (home), edge e1.
# Proves: a batch that was merged and committed, but whose answer was lost because the sender's shipper was killed with -9, is sent
# again, and its effect is there exactly once: in rows, and in counters above all. A batch that was merged and answered, but
# not on the peer's disk when the peer died, is sent again.
# R13_KILLS: how often (default 4).
use strict;
use warnings;
use Fabric;
use Test::More;

my $kills = $ENV{R13_KILLS} // 4;
my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.keep_s = 100000\nrestart_after_crash = on\nfsync = off\n");
$f->sql('c1', q{
  CREATE TABLE tally (car text, id int, n vectorshard.counter NOT NULL, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('tally', 'car');
  INSERT INTO tally VALUES ('car', 1, 0, 'first');
});
$f->poll('e1', q{SELECT to_regclass('tally') IS NOT NULL}, 't', 'the edge has the table');
$f->sql('e1', q{SELECT vectorshard.place('car', 'e1')});
$f->poll('e1', q{SELECT count(*) FROM ONLY tally}, '1', 'and the client');

my $shipper = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'};
# An update of e1 is merged at c1 while the shipper that sent it stands still; gives that one's pid, and whether it was merged.
sub merged_unheard {
	my ($note) = @_;
	$f->poll_until('e1', 'SELECT sum(queue_rows + debts) = 0 AND bool_and(connected) FROM vectorshard.ship_lag', 't') or die;
	# Somebody at the home holds the row, so that the merge waits while its sender is stopped.
	my $locker = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('c1')->connstr('postgres'), '-c',
			"BEGIN; SELECT 1 FROM ONLY tally WHERE car = 'car' AND id = 1 FOR UPDATE; SELECT pg_sleep(60)" ], '>', \my $out, '2>', \my $err);
	my $holds = q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'BEGIN; SELECT 1 FROM ONLY tally%' AND wait_event = 'PgSleep'};
	$f->wait_for(sub { $f->sql('c1', $holds) ne '' }) or die 'nobody holds the row';
	$f->sql('e1', "UPDATE tally SET n = n + 1, note = '$note' WHERE car = 'car' AND id = 1");
	$f->poll_until('c1', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'vectorshard shipper%'}, 't')
	  or die 'no merge waits';
	# ship_lag is told a few times a second: it must say so before the shipper stands still.
	$f->poll_until('e1', 'SELECT queue_rows > 0 FROM vectorshard.ship_lag', 't') or die 'not under way';
	my $pid = $f->sql('e1', $shipper);
	kill 'STOP', $pid;
	$f->sql('c1', "SELECT pg_terminate_backend(pid) FROM ($holds) h");
	eval { $locker->finish };
	return ($pid, $f->poll_until('c1', q{SELECT note FROM ONLY tally WHERE id = 1}, $note, 20));
}
my $sent_again = 0;
for my $round (1 .. $kills) {
	my ($pid, $merged) = merged_unheard("round $round");
	# Merged and committed there, not known here.
	$sent_again++ if $merged && $f->sql('e1', 'SELECT queue_rows > 0 FROM vectorshard.ship_lag') eq 't';
	kill 'KILL', $pid;
	$f->wait_for(sub { my ($rc, $new) = $f->node('e1')->psql('postgres', $shipper); return !$rc && $new ne '' && $new ne $pid; }) or die 'no new shipper';
}
is($sent_again, $kills, "$kills batches were merged while their sender did not know");
for my $n ('c1', 'e1') {
	$f->poll($n, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$n has shipped everything");
	$f->poll($n, q{SELECT n::bigint FROM ONLY tally WHERE id = 1}, $kills, "$n counted each of them once");
}
is($f->client_hash('e1', 'tally', 'car', 'car'), $f->client_hash('c1', 'tally', 'car', 'car'), 'equal rows');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflict WHERE kind <> 'beaten'}), '0', 'no dead letters');

# Merged, answered, not flushed: c1 dies with it in memory. Its other workers flush WAL now and then, so it is tried some times.
$f->node('c1')->append_conf('postgresql.conf', "wal_writer_delay = 10s\nwal_writer_flush_after = 0\n");
$f->node('c1')->restart;
my ($vanished, $tried) = (0, 0);
while (!$vanished && $tried++ < 20) {
	my ($pid, $merged) = merged_unheard("vanishing $tried");
	$merged or die 'not merged';
	$f->kill9_and_restart('c1');
	$vanished = $f->sql('c1', q{SELECT note FROM ONLY tally WHERE id = 1}) ne "vanishing $tried";
	kill 'CONT', $pid;
	$f->poll('c1', q{SELECT note FROM ONLY tally WHERE id = 1}, "vanishing $tried", 'what died with the peer came again') or last;
}
ok($vanished, "a merge that was not flushed vanished with its server, in try $tried");
$f->poll($_, q{SELECT n::bigint FROM ONLY tally WHERE id = 1}, $kills + $tried, "$_ counted each of them once") for ('c1', 'e1');
done_testing();
