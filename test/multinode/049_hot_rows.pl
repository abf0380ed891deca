# Topology: core c1 (home), edge e1; one client with five rows, and an index on a column that every update changes.
# Proves: three updaters at the home and one at the edge on the same five rows: no merge takes a row that is there for missing, no
# update is lost track of, and what stands at the end is the largest version that anybody was told. A deadlock of a merge and a user
# ends whether or not PostgreSQL's timers run. A row that is updated again and again travels in its last state.
# R5_UPDATES: how many updates the edge sends (default 20000).
use strict;
use warnings;
use Fabric;
use Test::More;

my $updates = $ENV{R5_UPDATES} // 20000;
my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.keep_s = 100000\nfsync = off\n");
$f->sql('c1', q{
  CREATE TABLE hot (car text, id int, n bigint NOT NULL DEFAULT 0, changed float8, PRIMARY KEY (car, id));
  CREATE INDEX ON hot (changed);
  SELECT vectorshard.create_vector_shard_table('hot', 'car');
  INSERT INTO hot SELECT 'car', i FROM generate_series(1, 5) i;
});
$f->poll('e1', q{SELECT to_regclass('hot') IS NOT NULL}, 't', 'the edge has the table');
$f->sql('e1', q{SELECT vectorshard.place('car', 'e1')});
$f->poll('e1', q{SELECT count(*) FROM ONLY hot}, '5', 'and the client');
$f->sql($_, 'CREATE TABLE told (id int, version bigint)') for 'c1', 'e1';

my $script = PostgreSQL::Test::Utils::tempdir() . '/update.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{
\set id random(1, 5)
WITH u AS (UPDATE hot SET n = n + 1, changed = random() WHERE car = 'car' AND id = :id RETURNING id, _version)
INSERT INTO told SELECT id, _version FROM u;
});
sub updaters {
	my ($n, $count, $each) = @_;
	return IPC::Run::start([ 'pgbench', '-n', '-c', $count, '-t', $each, '-f', $script, '-h', $f->node($n)->host, '-p', $f->node($n)->port, 'postgres' ],
		'>', \my $out, '2>', \my $err);
}
my @running = (updaters('c1', 3, int($updates / 2)), updaters('e1', 1, $updates));
ok($_->finish, 'updaters end without an error') for @running;

for my $n ('c1', 'e1') { $f->poll($n, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$n has shipped everything"); }
is($f->sql('e1', 'SELECT count(*) FROM told'), $updates, 'every update at the edge found its row');
is($f->sql('c1', 'SELECT count(*) FROM told'), 3 * int($updates / 2), 'and every one at the home');
my %largest;
for my $n ('c1', 'e1') {
	for (split /\n/, $f->sql($n, 'SELECT id, max(version) FROM told GROUP BY id')) {
		my ($id, $version) = split /\|/;
		$largest{$id} = $version if $version > ($largest{$id} // 0);
	}
}
my $expected = join(' ', map { "$_=$largest{$_}" } sort keys %largest);
for my $n ('c1', 'e1') {
	$f->poll($n, q{SELECT string_agg(id || '=' || _version, ' ' ORDER BY id) FROM ONLY hot}, $expected, "$n ends with the largest versions");
	is($f->client_hash($n, 'hot', 'car', 'car'), $f->client_hash('c1', 'hot', 'car', 'car'), "$n: equal rows");
	is($f->sql($n, 'SELECT count(*) FROM ONLY hot'), '5', "$n: no row was missing, none is there twice");
	# Where the look-up of a merge steps over a row that is just being updated, its insert finds the row by the index and is taken back.
	note("$n: look-ups that missed a row which was there: ", $f->sql($n, q{SELECT n_tup_ins - 5 FROM pg_stat_user_tables WHERE relname = 'hot'}));
	is($f->sql($n, q{SELECT count(*) FROM vectorshard.conflict WHERE kind <> 'beaten'}), '0', "$n has no dead letters");
}

# A merge that has long looked for a deadlock, and found none, when a user makes one: whose own look never comes, as when the time of
# day was set back. The merge looks again, by another clock, and gives way.
my $user = $f->node('e1')->background_psql('postgres');
$user->query_safe(q{SET deadlock_timeout = '1h'; BEGIN; UPDATE hot SET n = -2 WHERE car = 'car' AND id = 2});
$f->sql('c1', q{BEGIN; UPDATE hot SET n = -1 WHERE car = 'car' AND id = 1; UPDATE hot SET n = -1 WHERE car = 'car' AND id = 2; COMMIT});
$f->poll('e1', q{SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE NOT l.granted AND a.query LIKE '%vectorshard.apply($1)%'
	AND a.pid <> pg_backend_pid() AND clock_timestamp() - l.waitstart > interval '500 ms'}, '1', 'a merge waits for a user, and has looked for a deadlock');
my $began = time;
$user->query_safe(q{UPDATE hot SET n = -2 WHERE car = 'car' AND id = 1; COMMIT});
cmp_ok(time - $began, '<', 20, 'the user, who waits for the merge, gets on');
$user->quit;
for my $n ('c1', 'e1') { $f->poll($n, q{SELECT string_agg(n::text, ' ' ORDER BY id) FROM ONLY hot WHERE id < 3}, '-2 -1', "$n: each row is the newer of the two"); }

# What is decoded together travels as the row's last state; where a commit waits for the home, as its own.
my $shipper = $f->sql('e1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
sub decoded_together {
	my ($sql) = @_;
	$f->node('c1')->stop('immediate');
	kill 'STOP', $shipper;
	$f->sql('e1', $sql);
	kill 'CONT', $shipper;
	$f->poll('e1', q{SELECT sum(queue_rows) > 0 AND min(decoded_lsn) >= pg_current_wal_flush_lsn() FROM vectorshard.ship_lag}, 't', 'decoded, and waits for the home');
	my $rows = $f->sql('e1', 'SELECT sum(queue_rows) FROM vectorshard.ship_lag');
	$f->start_again('c1');
	return $rows;
}
my $rows = decoded_together(q{DO $$ BEGIN FOR i IN 1..2000 LOOP UPDATE hot SET n = i WHERE car = 'car' AND id = 3; COMMIT; END LOOP; END $$});
cmp_ok($rows, '<', 100, "of 2000 updates of a row $rows wait for the home");
$f->poll('c1', q{SELECT n FROM ONLY hot WHERE id = 3}, '2000', 'the last one arrives');
is($f->client_hash('e1', 'hot', 'car', 'car'), $f->client_hash('c1', 'hot', 'car', 'car'), 'equal rows');
done_testing();
