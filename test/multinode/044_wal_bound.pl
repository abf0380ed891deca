# Topology: core c1 (home), edges e1 (writes) and e2 (another holder). 8 MB per peer, 64 MB of WAL.
# Proves: whatever a peer does (it is dead, or stands still with its connection open) while a concurrent writer goes on,
# the writer's pg_wal stays under 64 MB + 3 segments and its shipper's memory bounded, and afterwards all hold the same rows;
# a slot that the server gave up (max_slot_wal_keep_size) leaves no gap.
# VECTORSHARD_WAL_MB=1024 for the full form (160 MB otherwise, with each of the two peers' failures).
use strict;
use warnings;
use Fabric;
use Test::More;

my $megabytes = $ENV{VECTORSHARD_WAL_MB} // 160;
my $bound = 64 + 3 * 16;
my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "log_statement = none\nvectorshard.keep_s = 100000\nvectorshard.placement_mode = off\nvectorshard.peer_queue_mb = 8\nfsync = off\nshared_buffers = 32MB\n"
	  . "max_wal_size = 64MB\nmin_wal_size = 32MB\nmax_slot_wal_keep_size = 64MB\nautovacuum = off\ncheckpoint_completion_target = 0\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, round int, blob bytea, PRIMARY KEY (car, id));
  ALTER TABLE trip ALTER blob SET STORAGE EXTERNAL;
  SELECT vectorshard.create_vector_shard_table('trip', 'car')});
$f->poll($_, q{SELECT to_regclass('trip') IS NOT NULL}, 't', "$_ has the table") for @nodes;
$f->sql($_, 'ALTER TABLE trip ALTER blob SET STORAGE EXTERNAL') for @nodes;
my %own = (c1 => -1, e1 => -2, e2 => -3);
$f->sql($_, "INSERT INTO trip SELECT 'car' || c, $own{$_}, 0 FROM generate_series(1, 20) c") for @nodes;

sub converge {
	my ($what) = @_;
	$f->poll($_, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$what: $_ owes nothing", 120) for @nodes;
	my $sum = q{SELECT count(*) || ' ' || sum(hashtext(car || ' ' || id || ' ' || round || coalesce(md5(blob), ''))::bigint) FROM ONLY trip};
	my $all = $f->sql('e1', $sum);
	is($f->sql($_, $sum), $all, "$what: $_ has the same rows") for ('c1', 'e2');
	return;
}
sub memory_mb {
	my $pid = $f->sql('e1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'}) or return 0;
	open my $status, '<', "/proc/$pid/status" or return 0;
	for (<$status>) { return $1 / 1024 if /^RssAnon:\s+(\d+)/; }
	return 0;
}

# About 1 MB a round, one client after the other, of values that WAL cannot make smaller.
my ($round, $most_wal, $most_memory) = (0, 0, 0);
sub write_mb {
	my ($mb) = @_;
	($most_wal, $most_memory) = (0, 0);
	for (1 .. $mb / 8) {
		my $sql = '';
		for (1 .. 8) {
			$round++;
			my $car = 'car' . ($round % 20 + 1);
			$sql .= "INSERT INTO trip SELECT '$car', g, $round, decode(repeat(md5('$round' || g), 6250), 'hex') FROM generate_series(1, 10) g ON CONFLICT (car, id) DO UPDATE SET round = excluded.round, blob = excluded.blob;\n";
		}
		# What a server does by itself when max_wal_size is reached, without the wait for its timing.
		my $wal = $f->sql('e1', $sql . q{CHECKPOINT; SELECT sum(size) / 1048576 FROM pg_ls_waldir()});
		$most_wal = $wal if $wal > $most_wal;
		my $memory = memory_mb();
		$most_memory = $memory if $memory > $most_memory;
	}
	return;
}
write_mb(16);
converge('before');
my $memory_before = memory_mb();

$f->node('e2')->stop('immediate');
write_mb($megabytes);
cmp_ok($most_wal, '<=', $bound, "a peer is dead: $most_wal MB of WAL while $megabytes MB were written");
cmp_ok($most_memory - $memory_before, '<', 100, sprintf('the shipper took %.0f MB more', $most_memory - $memory_before));
is($f->sql('e1', q{SELECT debts >= 19 FROM vectorshard.ship_lag WHERE node = 'e2'}), 't', 'its clients are debts');
is($f->sql('e1', q{SELECT count(*) FROM pg_replication_slots WHERE wal_status IN ('reserved', 'extended')}), '1', 'the slot is well');
$f->start_again('e2');
converge('after it was dead');

# Its backend stands still and says nothing.
my $pid = $f->sql('e2', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend'});
my @pids = split /\n/, $pid;
kill 'STOP', @pids;
write_mb($megabytes);
cmp_ok($most_wal, '<=', $bound, "a peer stands still: $most_wal MB of WAL while $megabytes MB were written");
cmp_ok($most_memory - $memory_before, '<', 100, sprintf('the shipper took %.0f MB more', $most_memory - $memory_before));
kill 'CONT', @pids;
converge('after it stood still');

# The slot is lost: the shipper stands still, and the server keeps no more than it was told to.
$pid = $f->sql('e1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
kill 'STOP', $pid;
my $unseen = "UPDATE trip SET round = -1 WHERE car = 'car3';\n";
for (1 .. 100) {
	$round++;
	my $car = 'car' . ($round % 10 + 11);
	$unseen .= "UPDATE trip SET round = $round, blob = decode(repeat(md5('$round' || id), 6250), 'hex') WHERE car = '$car' AND id > 0;\n";
}
$f->sql('e1', $unseen);
my $checkpoint = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('e1')->connstr('postgres'), '-c', 'CHECKPOINT' ], '<', \undef, '>', \my $o, '2>', \my $e);
$f->wait_for(sub { PostgreSQL::Test::Utils::slurp_file($f->node('e1')->logfile) =~ /terminating process $pid to release replication slot/ }, 60);
kill 'CONT', $pid;
$checkpoint->finish;
like(PostgreSQL::Test::Utils::slurp_file($f->node('e1')->logfile), qr/invalidating slot "vectorshard_\d+"/, 'the server gave the slot up');
$f->poll('c1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car3' AND round = -1}, $f->sql('e1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car3' AND round = -1}), 'what only the slot knew arrives', 120);
converge('a slot that was given up');
is($f->sql('e1', q{SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'reserved' AND active}), '1', 'there is a new slot');
done_testing();
