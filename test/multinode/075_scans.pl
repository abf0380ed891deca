# Topology: core nodes c1, c2 and c3, edge e1.
# Proves: a statement over all clients of a table whose copies are read where they are (consistency eventual) counts each row once while the
# homes of its clients move: it asks again where two homes, or none, answered for a client, and raises 40001 where that cannot help.
# Steps of a move held up one by one, and then movers and readers on all nodes for SCAN_S seconds (15).
use strict;
use warnings;
use Fabric;
use POSIX ();
use Session;
use Test::More;
use Time::HiRes qw(time usleep);

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0\nvectorshard.link_timeout_ms = 3000\n");
$f->add_server($_) for 'c2', 'c3', 'e1';
$f->join($_, kind => 'core') for 'c2', 'c3';
$f->join('e1');
my @nodes = ('c1', 'c2', 'c3', 'e1');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, n bigint, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
  INSERT INTO trip SELECT 'car' || c, i, c * 100 + i FROM generate_series(1, 12) c, generate_series(1, 20) i});
my $count = 'SELECT count(*), count(DISTINCT (car, id)), sum(n) FROM trip';
my $sound = $f->sql('c1', $count);
like($sound, qr/^240\|240\|/, 'all rows');
$f->poll($_, $count, $sound, "$_ reads them") for @nodes;
$f->poll($_, q{SELECT count(*) FROM vectorshard.client}, '12', "$_ knows the clients") for @nodes;
sub home { my ($car, $at) = @_; return $f->sql($at, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'"); }
sub move { my ($car, $from, $to) = @_; $f->sql($from, "SELECT vectorshard.move_home('$car', '$to')"); return; }
sub moved { my ($car, $to, @at) = @_; return $f->poll($_, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'", $to, "$_: home of $car is $to") for @at; }
move("car$_", 'c1', 'c2') for 4 .. 7;
move("car$_", 'c1', 'c3') for 8 .. 11;
moved("car$_", 'c2', @nodes) for 4 .. 7;
moved("car$_", 'c3', @nodes) for 8 .. 11;

my @queries = ($count, 'SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT car, id FROM trip) d), sum(n) FROM (SELECT n, random() FROM trip) t', 'SELECT sum(c), sum(c), sum(s) FROM (SELECT car, count(*) c, sum(n) s FROM trip GROUP BY car) g',
	'SELECT count(*), count(DISTINCT (a.car, a.id)), sum(b.n) FROM trip a JOIN trip b ON b.car = a.car AND b.id = a.id');

# The new home has it, and the former one has not heard: both would answer for it.
{
	my $lock = Session->new($f->node('c1'));
	my $locker = $lock->ask('SELECT pg_backend_pid()');
	$lock->ask('BEGIN');
	$lock->ask(q{SELECT FROM vectorshard.client WHERE client = 'car1' FOR UPDATE});
	move('car1', 'c1', 'c2');
	moved('car1', 'c2', 'c2');
	is(home('car1', 'c1'), 'c1', 'c1 does not know that it is not the home any more');
	for my $query (@queries) { like($f->error_of('e1', $query), qr/40001: homes of clients moved while they were asked.*HINT/s, "counted twice: $query"); }
	like($f->error_of('c3', $count), qr/40001: homes of clients moved/, 'and so at another home');
	like($f->error_of('e1', q{SELECT count(*) FROM trip WHERE n > 0 LIMIT 1}), qr/40001/, 'with a condition');
	is($f->sql('c1', $count), $sound, 'c1 reads its own rows');
	is($f->sql('c2', $count), $sound, 'and c2 those that it holds');
	my $reader = Session->new($f->node('e1'));
	$reader->ask('SET vectorshard.link_timeout_ms = 60000');
	my $until = time + 60;
	my $pid = fork() // die "fork: $!";
	if (!$pid) { usleep(1_000_000); $f->node('c1')->psql('postgres', "SELECT pg_terminate_backend($locker)"); POSIX::_exit(0); }
	is($reader->ask($count), $sound, 'the question is asked again until the homes agree');
	waitpid($pid, 0);
	$reader->finish;
}
moved('car1', 'c2', @nodes);

# A snapshot at the next home from before the move, and one at the former home from after it: none would answer for it.
{
	my $s = Session->new($f->node('e1'));
	$s->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($s->ask(q{SELECT count(*) FROM trip WHERE car = 'car8'}), '20', 'a snapshot at c3');
	move('car1', 'c2', 'c3');
	moved('car1', 'c3', @nodes);
	like($s->ask($count), qr/ERROR: +homes of clients moved while they were asked/, 'missed, in a snapshot');
	$s->ask('ROLLBACK');
	is($s->ask($count), $sound, 'and anew');
	$s->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($s->ask($count), $sound, 'snapshots everywhere');
	move('car1', 'c3', 'c2');
	moved('car1', 'c2', @nodes);
	is($s->ask($count), $sound, 'stand while homes move');
	$s->ask('COMMIT');
	$s->finish;
}

# A client that comes to the asking node after its snapshot was taken. c3 was its home for a while, and lets go of what it held when it gets to it.
{
	$f->poll('c3', q{SELECT count(*) FROM ONLY trip WHERE car = 'car1'}, '0', 'c3 has let go of car1');
	my $s = Session->new($f->node('c3'));
	$s->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($s->ask(q{SELECT count(*) FROM ONLY trip WHERE car = 'car1'}), '0', 'a snapshot here');
	move('car1', 'c2', 'c3');
	moved('car1', 'c3', @nodes);
	$s->ask('SAVEPOINT named');
	like($s->ask(q{SELECT count(*) FROM trip WHERE car = 'car1'}), qr/ERROR: +the home of client "car1" moved here/, 'by its name: the snapshot has none of its rows');
	$s->ask('ROLLBACK TO named');
	like($s->ask($count), qr/ERROR: +homes of clients moved while they were asked/, 'a home that came here since');
	$s->ask('ROLLBACK');
	is($s->ask($count), $sound, 'and anew');
	$s->finish;
}

# Movers and readers at random, for SCAN_S seconds, and longer where the machine needs that for enough of them.
my $seconds = $ENV{SCAN_S} // 15;
my $seed = $ENV{SEED} // int(rand 1_000_000);
note "SEED=$seed";
my $dir = PostgreSQL::Test::Utils::tempdir();
my %children;
sub child {
	my ($name, $turn) = @_;
	my $pid = fork() // die "fork: $!";
	if ($pid) { $children{$name} = $pid; return; }
	srand($seed + ord($name) + 100 * ord(substr $name, -1));
	open my $out, '>', "$dir/$name" or POSIX::_exit(1);
	$out->autoflush(1);
	until (-e "$dir/over") { print $out $turn->() . "\n"; }
	POSIX::_exit(0);
}
my $try = sub { my ($n, $sql) = @_; my ($rc, $out, $err) = $f->node($n)->psql('postgres', $sql); return $rc ? $err =~ /ERROR: *(.*)/ ? "error $1" : "error $err" : $out; };
for my $part (0 .. 2) {
	child("mover$part", sub {
		my $car = 'car' . (1 + $part * 4 + int rand 4);
		my $from = $try->('e1', "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'");
		my $to = (grep { $_ ne $from } 'c1', 'c2', 'c3')[ int rand 2 ];
		my $said = $try->($from, "SELECT vectorshard.move_home('$car', '$to')");
		return $said if $said =~ /^error/;
		$f->wait_for(sub { $try->('e1', "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'") eq $to }, 10);
		$try->($from, "SELECT vectorshard.evict('$car')") if rand() < 0.5;
		return 'moved';
	});
}
for my $n (@nodes) {
	child("reader_$n", sub {
		my $query = $queries[ int rand @queries ];
		my $twice = rand() < 0.3;
		my $got = $try->($n, $twice ? "BEGIN ISOLATION LEVEL REPEATABLE READ; $query; $query; COMMIT" : $query);
		return 'retry' if $got =~ /^error .*(?:moved|moving|move while|not the home)/;
		return $got eq ($twice ? "$sound\n$sound" : $sound) ? 'right' : "wrong $query: $got";
	});
}
sub seen {
	my %seen;
	for my $name (grep { -e "$dir/$_" } keys %children) {
		my ($kind) = $name =~ /^([a-z]+)/;
		$seen{$kind}{$_}++ for split /\n/, PostgreSQL::Test::Utils::slurp_file("$dir/$name");
	}
	return %seen;
}
my $least = time + $seconds;
$f->wait_for(sub { my %seen = seen(); return time > $least && ($seen{mover}{moved} // 0) > 10; }, $seconds + 150);
PostgreSQL::Test::Utils::append_to_file("$dir/over", '');
waitpid($children{$_}, 0) for keys %children;
my %seen = seen();
is(join('; ', grep { !/^(?:right|retry)$/ } keys %{ $seen{reader} }), '', 'no wrong answer');
cmp_ok($seen{reader}{right}, '>', 3 * ($seen{reader}{retry} // 0), "$seen{reader}{right} right, " . ($seen{reader}{retry} // 0) . ' to be retried');
cmp_ok($seen{mover}{moved} // 0, '>', 10, ($seen{mover}{moved} // 0) . ' moves');
$f->poll($_, $count, $sound, "$_: all rows at the end") for @nodes;
done_testing();
