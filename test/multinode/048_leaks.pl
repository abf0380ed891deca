# Topology: core c1 (home), edge e1 (writes one-row transactions), and a peer that sends c1 bad batches.
# Proves: neither the shipper nor the backends that merge for it grow, or keep files open, over many applied transactions
# and many forced errors: batches that do not decode, rows that fail alone (dead letters), while a concurrent writer goes on
# and, in between, the peer's backend is killed (a new one then counts from its start).
# VECTORSHARD_LEAK_TRANSACTIONS=100000 VECTORSHARD_LEAK_ERRORS=10000 for the full form (6,000 and 600 otherwise).
use strict;
use warnings;
use Fabric;
use Test::More;

my $transactions = $ENV{VECTORSHARD_LEAK_TRANSACTIONS} // 6000;
my $errors = $ENV{VECTORSHARD_LEAK_ERRORS} // 600;
my $patience = 120 + $transactions / 50;
my $f = Fabric->new(core => 'c1', edges => ['e1'],
	config => "log_statement = none\nlog_min_messages = fatal\nlog_min_error_statement = panic\nvectorshard.keep_s = 100000\nvectorshard.placement_mode = off\nfsync = off\nautovacuum = off\nvectorshard.check_rate = 0\n");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car')});
$f->poll('e1', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'e1 has the table');
$f->sql('e1', q{INSERT INTO trip SELECT 'car' || c, 0, '' FROM generate_series(1, 10) c});
# Only here: what e1 writes of id < 0 fails at the home, row by row. (The check in the background would owe such rows again
# and again, over connections of their own: it is off.)
$f->sql('c1', q{ALTER TABLE trip ADD CHECK (id >= 0)});

# Of a process: memory of its own in kB, and what it has open but for files of tables and WAL, which the server keeps open as
# long as it finds room, and closes by itself.
sub use_of {
	my ($pid) = @_;
	open my $status, '<', "/proc/$pid/status" or return;
	my ($kb) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } <$status>;
	my @open = grep { !m{/(?:base|global|pg_tblspc|pg_wal)/} } map { readlink($_) // () } glob("/proc/$pid/fd/*");
	return { kb => $kb, files => [ sort @open ] };
}
sub pids {
	my %p;
	for my $n ('c1', 'e1') {
		my $merging = q{FROM pg_stat_activity WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend'};
		$f->poll($n, "SELECT count(*) $merging", '1', "$n has one backend that merges");
		$p{"shipper of $n"} = $f->sql($n, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
		$p{"merging backend of $n"} = $f->sql($n, "SELECT pid $merging");
	}
	return %p;
}
my $dir = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::append_to_file("$dir/good.sql", "\\set id random(1, 2000)\nINSERT INTO trip VALUES ('car' || (:id % 10 + 1), :id, 'n' || random()) ON CONFLICT (car, id) DO UPDATE SET note = excluded.note;\n");
PostgreSQL::Test::Utils::append_to_file("$dir/dead.sql", "\\set id random(1, 1000000000)\nINSERT INTO trip VALUES ('car' || (:id % 10 + 1), -:id, 'dead letter') ON CONFLICT DO NOTHING;\n");
# Bad batches come over a connection of their own, whose backend is watched too: none of them ends it.
PostgreSQL::Test::Utils::append_to_file("$dir/bad.sql",
	"DO \$\$ BEGIN PERFORM vectorshard.apply(decode('56534231' || md5(random()::text) || md5(random()::text), 'hex')); EXCEPTION WHEN others THEN NULL; END \$\$;\n"
	  . "DO \$\$ BEGIN PERFORM vectorshard.apply(decode('56535a3102ffffff00' || md5(random()::text), 'hex')); EXCEPTION WHEN others THEN NULL; END \$\$;\n");
sub bench {
	my ($n, $script, $t, $clients) = @_;
	return IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-t', int($t / $clients), '-f', "$dir/$script.sql", '-h', $f->node($n)->host, '-p', $f->node($n)->port, 'postgres' ], '>', \my $o, '2>', \my $e);
}
sub settled { $f->poll($_, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$_[1]: $_ owes nothing", $_[0]) for ('c1', 'e1'); return; }
sub run_all {
	my ($good, $bad) = @_;
	my $good_run = bench('e1', 'good', $good, 4);
	my $dead_run = bench('e1', 'dead', $bad / 2, 1);
	my $bad_run = bench('c1', 'bad', $bad / 4, 1);
	my ($pid, $first, $last);
	while ($bad_run->pumpable) {
		$pid //= $f->sql('c1', q{SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'});
		my $now = $pid ? use_of($pid) : undef;
		$last = $now if $now;
		$first //= $now if ($f->sql('c1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'}) > 0);
		Time::HiRes::usleep(200_000);
		$bad_run->pump_nb;
	}
	$_->finish or die 'pgbench failed' for ($good_run, $dead_run, $bad_run);
	settled($patience, "$good transactions, $bad errors");
	return ($first, $last);
}
# Caches fill, and memory reaches what the largest batches need: malloc does not give all of it back.
$f->sql('e1', q{INSERT INTO trip SELECT 'car' || (g % 10 + 1), g, md5(g::text) FROM generate_series(1, 20000) g ON CONFLICT DO NOTHING});
$f->sql('e1', q{INSERT INTO trip SELECT 'car' || (g % 10 + 1), -g, 'dead letter' FROM generate_series(1, 200) g});
run_all(1000, 200);
my %pid = pids();
my %before = map { $_ => use_of($pid{$_}) } keys %pid;
my $letters = $f->sql('c1', q{SELECT count(*) FROM vectorshard.conflict WHERE kind = 'dead_letter'});
my ($first, $last) = run_all($transactions, $errors);
my %pid_after = pids();
is_deeply(\%pid_after, \%pid, 'the same processes');
for my $who (sort keys %pid) {
	my $now = use_of($pid{$who});
	my $kb = $now->{kb} - $before{$who}{kb};
	cmp_ok($kb, '<', 16 * 1024, "$who: $kb kB more after $transactions transactions and $errors errors");
	is(scalar @{ $now->{files} }, scalar @{ $before{$who}{files} }, "$who: as many descriptors") or diag(join("\n", @{ $before{$who}{files} }, 'now:', @{ $now->{files} }));
}
cmp_ok($last->{kb} - $first->{kb}, '<', 16 * 1024, 'backend that gets bad batches: ' . ($last->{kb} - $first->{kb}) . ' kB more');
cmp_ok($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflict WHERE kind = 'dead_letter'}) - $letters, '>=', $errors / 2 - 10, 'rows failed alone');
is($f->sql('c1', q{SELECT count(*) || ' ' || sum(hashtext(car || id || note)::bigint) FROM ONLY trip}), $f->sql('e1', q{SELECT count(*) || ' ' || sum(hashtext(car || id || note)::bigint) FROM ONLY trip WHERE id >= 0}), 'all others arrived');

# A backend that is killed is replaced, and nothing is lost.
my $good_run = bench('e1', 'good', 1000, 2);
$f->sql('c1', "SELECT pg_terminate_backend($pid{'merging backend of c1'})");
$good_run->finish;
settled($patience, 'a killed backend');
done_testing();
