# Topology: core c1, edge e1.
# Proves: a reader neither misses nor doubles rows while a client is copied in, evicted, packed or brought back, under
# REPEATABLE READ, in an open cursor, and from statement to statement; a client with an open forwarded write does not
# become resident; rows of cold clients are read and changed from everywhere.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
                INSERT INTO trip SELECT c, i, 'x' FROM unnest(ARRAY['a', 'b', 'c']) c, generate_series(1, 100) i});
$f->poll('e1', q{SELECT count(*) FROM trip}, '300', 'e1 reads all rows');

my $all = q{SELECT count(*), count(DISTINCT (car, id)), sum(id) FROM trip};
my $sound = '300|300|15150';

sub bring { return $f->bring('e1', $_[0]); }
sub send_away { return $f->send_away('e1', $_[0]); }
my $session = Session->new($f->node('e1'));
sub ask { return $session->ask($_[0]); }
my $where = q{SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM trip WHERE car = 'a'};

# Copied in while a snapshot is open.
ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($all), $sound, 'before the copy');
ok(bring('a'), 'a becomes resident');
is(ask($all), $sound, 'after the copy, in the same snapshot');
is(ask($where), 'trip_elsewhere', 'whose rows still come from the home');
ask('COMMIT');
is(ask($all), $sound, 'in a new snapshot');
is(ask($where), 'trip', 'rows come from the heap');

# Evicted while a snapshot and a cursor are open.
ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($all), $sound, 'before the eviction');
ask("DECLARE k CURSOR FOR SELECT car, id FROM trip");
ask('FETCH 5 FROM k');
ok(send_away('a'), 'a leaves');
is(ask($all), $sound, 'after the eviction, in the same snapshot');
is(ask($where), 'trip', 'whose rows still come from the heap');
is(scalar(split /\n/, ask('FETCH ALL FROM k')), 295, 'the cursor goes on');
ask('COMMIT');
is(ask($all), $sound, 'in a new snapshot');
is(ask($where), 'trip_elsewhere', 'rows come from the home');

# From statement to statement while clients come and go.
my ($reads, $wrong) = (0, '');
for my $round (1 .. 3) {
	for my $way (\&bring, \&send_away) {
		my $pid = fork;
		if ($pid == 0) { my $good = $way->('b'); require POSIX; POSIX::_exit($good ? 0 : 1); }
		do {
			my $got = ask($all);
			$reads++;
			$wrong .= "$got; " if $got ne $sound;
		} until waitpid($pid, 1) == $pid;
		is($?, 0, "round $round: moved");
	}
}
is($wrong, '', "$reads reads while a client comes and goes");

# An open forwarded write.
ask('BEGIN');
ask(q{UPDATE trip SET note = 'forwarded' WHERE car = 'c' AND id = 1});
$f->sql('e1', "INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version) VALUES ('c', 2, 2, now() + interval '1 hour', 'test', 0)");
$f->poll('e1', q{SELECT state FROM vectorshard.holder WHERE client = 'c' AND node = 2}, 'copying', 'the copy has begun');
is(ask(q{SELECT note FROM trip WHERE car = 'c' AND id = 1}), 'forwarded', 'the transaction sees its own write');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'c'}), '0', 'c does not become resident meanwhile');
ask('COMMIT');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'c'}, '1', 'afterwards it does');
$f->poll('e1', q{SELECT note FROM ONLY trip WHERE car = 'c' AND id = 1}, 'forwarded', 'with the write');
is(ask($all), $sound, 'nothing is lost');

# Cold at the home.
my $dir = PostgreSQL::Test::Utils::tempdir();
$f->sql('c1', "SELECT vectorshard.create_store('shelf', 'file://$dir')");
ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($all), $sound, 'before packing');
$f->sql('c1', q{SELECT vectorshard.move_to_cold('a')});
$f->poll('c1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'a'}, '0', 'a is cold');
is(ask($all), $sound, 'after packing');
ask('COMMIT');
is($f->sql('c1', $all), $sound, 'the home reads the segment');
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE car = 'a' AND id > 90}), '10', 'by name');
like($f->sql('c1', q{EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM trip WHERE car = 'a'}), qr/Segments Read: 1/, 'EXPLAIN ANALYZE');
is($f->sql('e1', q{SELECT count(*), count(DISTINCT note) FROM trip WHERE car = 'a'}), '100|1', 'e1 reads it through the home');
is(ask(q{BEGIN; UPDATE trip SET note = 'warm' WHERE car = 'a' AND id = 7 RETURNING note; ROLLBACK}), 'warm', 'an UPDATE that rolls back');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 'a'}), '1', 'leaves it cold');
is(ask(q{BEGIN; SELECT count(*) FROM (SELECT FROM trip WHERE car = 'a' FOR UPDATE) x; ROLLBACK}), '100', 'FOR UPDATE');
is(ask(q{UPDATE trip SET note = 'warm' WHERE car = 'a' AND id IN (7, 8) RETURNING note}), "warm\nwarm", 'an UPDATE from e1');
is($f->sql('c1', q{SELECT count(*) FROM ONLY trip WHERE car = 'a'}), '100', 'has brought it back at the home');
is(ask($all), $sound, 'nothing is lost');

$session->finish;
done_testing();
