# Topology: core c1 (home), edges e1 (writes) and e2 (another holder).
# Proves: a COMMIT that returns without a warning under durability = home or quorum is flushed where it says, whatever
# becomes of the writer afterwards (it is killed and never comes back); what is not reached is a WARNING 08007 and a
# transaction that is committed here: home dead, too few holders, refused and owed, canceled, terminated, shipper killed
# meanwhile. What needs no other node waits for none.
use strict;
use warnings;
use Fabric;
use Test::More;
use Time::HiRes qw(time);

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.keep_s = 100000\nvectorshard.placement_mode = off\nvectorshard.durability_timeout_ms = 30000\nvectorshard.peer_queue_mb = 1\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text);
  SELECT vectorshard.create_reference_table('kind')});
$f->poll($_, q{SELECT to_regclass('kind') IS NOT NULL}, 't', "$_ has the tables") for @nodes;
$f->sql($_, "INSERT INTO trip SELECT 'car' || c, -ascii(right('$_', 1)) - ascii('$_'), '$_' FROM generate_series(1, 4) c") for @nodes;
$f->sql('e1', 'CREATE TABLE plain (id int)');
sub settled { $f->poll($_, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$_[0]: $_ owes nothing") for grep { $_ ne ($_[1] // '') } @nodes; return; }
settled('before');

# Runs statements under a durability; gives what psql says on its error output.
sub commit {
	my ($n, $level, $sql) = @_;
	my ($rc, $out, $err) = $f->node($n)->psql('postgres', "SET client_min_messages = warning; $level; $sql", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$err .= "exit code $rc" if $rc;
	return $err;
}
my $home = 'SET vectorshard.durability = home';
my $quorum = sub { my ($k) = @_; return "SET vectorshard.durability = quorum; SET vectorshard.quorum_holders = $k"; };
my $id = 0;
my $missing = 0;
for (1 .. 30) {
	$id++;
	commit('e1', $home, "INSERT INTO trip VALUES ('car1', $id, 'home'), ('car2', $id, 'home')");
	$missing++ if $f->sql('c1', "SELECT count(*) FROM ONLY trip WHERE id = $id") != 2;
}
is($missing, 0, 'home: the home has each row when COMMIT returns');
for (1 .. 10) {
	$id++;
	commit('e1', $quorum->(2), "UPDATE trip SET note = 'quorum $id' WHERE car = 'car3'");
	for my $n ('c1', 'e2') { $missing++ if $f->sql($n, "SELECT count(*) FROM ONLY trip WHERE car = 'car3' AND note <> 'quorum $id'") != 0; }
}
is($missing, 0, 'quorum: two other holders have each row');
is(commit('e1', "SET synchronous_commit = off; $home", "INSERT INTO trip VALUES ('car1', 1000, 'late flush')"), '', 'synchronous_commit = off does not make it wait in vain');
is($f->sql('c1', 'SELECT count(*) FROM ONLY trip WHERE id = 1000'), '1', 'and the home has it');
commit('e1', $home, "DELETE FROM trip WHERE car = 'car1' AND id = 1000");
is($f->sql('c1', 'SELECT count(*) FROM ONLY trip WHERE id = 1000'), '0', 'a delete is waited for');
commit('e1', $quorum->(2), "INSERT INTO kind VALUES (1, 'everywhere')");
is($f->sql($_, 'SELECT count(*) FROM kind'), '1', "rows without a client: $_ has them") for ('c1', 'e2');
is(commit('e1', $home, "BEGIN; SAVEPOINT a; INSERT INTO trip VALUES ('car1', 1001, 'x'); ROLLBACK TO a; INSERT INTO plain VALUES (1); COMMIT"), '', 'what was rolled back is not waited for');
like(commit('e1', $quorum->(3), "INSERT INTO trip VALUES ('car1', 1002, 'too few')"), qr/WARNING:  08007.*\n.*Client "car1" has not that many other holders/s, 'too few holders: a warning at once');
is($f->sql('e1', 'SELECT count(*) FROM ONLY trip WHERE id = 1002'), '1', 'it is committed');

# A concurrent writer does not wait for those that wait, nor they for it.
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
PostgreSQL::Test::Utils::append_to_file($script, "\\set id random(1, 1000000000)\nINSERT INTO trip VALUES ('car4', :id, 'load') ON CONFLICT DO NOTHING;\n");
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-T', '3', '-f', $script, '-h', $f->node('e1')->host, '-p', $f->node('e1')->port, 'postgres' ], '>', \my $o, '2>', \my $e);
$missing = 0;
for (1 .. 10) {
	$id++;
	commit('e1', $home, "INSERT INTO trip VALUES ('car1', $id, 'under load')");
	$missing++ if $f->sql('c1', "SELECT count(*) FROM ONLY trip WHERE id = $id") != 1;
}
$load->finish;
is($missing, 0, 'under load the same');

# A commit that waits, in a session of its own: { run, out, err }.
sub start_commit {
	my ($n, $sql) = @_;
	my %w = (out => '', err => '', name => "waits $n");
	$w{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $f->node('e1')->connstr('postgres') . " application_name='waits $n'",
		'-c', $home, '-c', "INSERT INTO trip VALUES ('car1', $n, 'waits')", '-c', 'SELECT 1' ], '<', \undef, '>', \$w{out}, '2>', \$w{err});
	$f->poll('e1', "SELECT count(*) FROM ONLY trip WHERE id = $n", '1', "$n: others see the row while its commit waits");
	return \%w;
}
sub pid_of { return $f->sql('e1', "SELECT pid FROM pg_stat_activity WHERE application_name = '$_[0]{name}' AND wait_event_type = 'Extension'"); }
sub shipper { return $f->sql('e1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'}); }

my $pid = shipper();
kill 'STOP', $pid;
my $w = start_commit(2000);
ok(pid_of($w), 'a commit waits for a shipper that stands still');
kill 'TERM', $pid;
kill 'CONT', $pid;
ok($w->{run}->finish, 'the next shipper answers');
is($w->{err}, '', 'without a warning');

$pid = shipper();
kill 'STOP', $pid;
$w = start_commit(2001);
$f->sql('e1', 'SELECT pg_cancel_backend(' . pid_of($w) . ')');
$w->{run}->finish;
like($w->{err}, qr/WARNING:  08007.*canceled/, 'canceled: a warning');
is($w->{out}, "1\n", 'and the session goes on');
$w = start_commit(2002);
$f->sql('e1', 'SELECT pg_terminate_backend(' . pid_of($w) . ')');
$w->{run}->finish;
is($w->{out}, '', 'terminated: the client is told nothing');
is($f->sql('e1', 'SELECT count(*) FROM ONLY trip WHERE id IN (2001, 2002)'), '2', 'both are committed');
kill 'CONT', $pid;
settled('interrupted waits');

# A commit whose record is on disk, and that is not visible yet, as all are for a moment (a standby that does not answer
# makes it long): who waits until it can be seen must not wait for its locks, which it keeps until the shipper has answered.
$f->sql('e1', $_) for q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'}, 'SELECT pg_reload_conf()';
my %w = (out => '', err => '');
$w{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $f->node('e1')->connstr('postgres') . " application_name='not visible'",
	'-c', $home, '-c', "INSERT INTO trip VALUES ('car1', 2003, 'waits')" ], '<', \undef, '>', \$w{out}, '2>', \$w{err});
$f->poll('e1', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'not visible'}, '1', 'a commit is on disk and not visible');
$f->poll('e1', q{SELECT xact_start < clock_timestamp() - interval '50 ms' FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'}, 't', 'the shipper waits for it');
$f->sql('e1', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'not visible'});
$w{run}->finish;
unlike($w{err}, qr/08007/, 'visible: it is shipped and answered');
$f->sql('e1', $_) for 'ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()';

# The home is dead.
$f->node('c1')->stop('immediate');
my $short = 'SET vectorshard.durability_timeout_ms = 500';
like(commit('e1', "$home; $short", "INSERT INTO trip VALUES ('car2', 3000, 'home dead')"), qr/WARNING:  08007.*durability_timeout_ms/, 'home dead: a warning after the time-out');
is(commit('e1', $quorum->(1), "INSERT INTO trip VALUES ('car2', 3001, 'home dead')"), '', 'one other holder is enough for a quorum of one');
is($f->sql('e2', 'SELECT count(*) FROM ONLY trip WHERE id = 3001'), '1', 'and has the row');
is(commit('e1', $home, 'INSERT INTO plain VALUES (2)'), '', 'what is in no enrolled table waits for nobody');
# It is owed to the home while a commit waits for it: the warning does not wait for the time-out.
like(commit('e1', $home, "INSERT INTO trip SELECT 'car2', 4000 + g, repeat(md5(random()::text), 100) FROM generate_series(1, 1000) g"), qr/WARNING:  08007.*\n.*Client "car2" is owed to node 1/s, 'what becomes debt is said');
$f->start_again('c1');
settled('the home is back');
is($f->sql('c1', 'SELECT count(*) FROM ONLY trip WHERE id IN (2001, 2002, 3000, 3001)'), '4', 'it has all of it');

# A client at home here needs nobody.
$f->node($_)->stop('immediate') for ('e1', 'e2');
is(commit('c1', $home, "INSERT INTO trip VALUES ('car1', 5000, 'at home')"), '', 'at the home, with all others dead, a commit waits for nobody');
$f->start_again($_) for ('e1', 'e2');
settled('all are back');

# The writer dies for good: what it acknowledged is at the home.
my $log = PostgreSQL::Test::Utils::tempdir() . '/acknowledged';
my @writers = map {
	my $n = $_;
	IPC::Run::start([ 'bash', '-c', "while :; do n=\$((RANDOM * 32768 + RANDOM + 10000)); psql -XAtq -v ON_ERROR_STOP=1 -d '" . $f->node('e1')->connstr('postgres')
		  . "' -c 'SET vectorshard.durability = home' -c \"INSERT INTO trip VALUES ('car$n', \$n, 'acknowledged')\" -c \"SELECT 'got car$n ' || \$n\" 2>>$log.err || exit 0; done" ], '>>', "$log.$n", '2>', '/dev/null')
} (1 .. 3);
$f->poll('c1', q{SELECT count(*) > 40 FROM ONLY trip WHERE note = 'acknowledged'}, 't', 'many are acknowledged');
$f->node('e1')->kill9;
$_->finish for @writers;
my ($acknowledged, $lost) = (0, 0);
for my $line (map { split /\n/, PostgreSQL::Test::Utils::slurp_file("$log.$_") } (1 .. 3)) {
	my ($car, $n) = $line =~ /^got (car\d) (\d+)$/ or next;
	$acknowledged++;
	$lost++ if $f->sql('c1', "SELECT count(*) FROM ONLY trip WHERE car = '$car' AND id = $n") != 1;
}
unlike(PostgreSQL::Test::Utils::slurp_file("$log.err"), qr/WARNING/, 'no commit was in doubt');
cmp_ok($acknowledged, '>', 20, "$acknowledged commits were acknowledged before the writer's node was killed");
is($lost, 0, 'all of them are at the home');

done_testing();
