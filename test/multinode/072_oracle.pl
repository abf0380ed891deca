# Topology: core c1, c2, edges e1, e2.
# Proves: whatever clients are copied, evicted, packed into a store, brought back or given another home, plain SQL on any node gives
# what the same statements give on plain tables: once the last round's writes have reached every holder, and within the session that
# writes them; of a table with consistency home at once, on every node, while clients are under way. Seed and failing statement are printed; SEED, ORACLE_QUERIES and ORACLE_ROUND set what is run (make test-oracle).
use strict;
use warnings;
use Fabric;
use Oracle;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{SEED} // time % 1_000_000;
my $queries = $ENV{ORACLE_QUERIES} // 20_000;
my $a_round = $ENV{ORACLE_ROUND} // 250;    # queries a node and round
my @nodes = ('c1', 'c2', 'e1', 'e2');
note "seed $seed, $queries queries";

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 2");
for my $name (@nodes[ 1 .. 3 ]) {
	$f->add_server($name);
	$f->join($name, kind => $name eq 'c2' ? 'core' : 'edge');
}
my $o = Oracle->new(seed => $seed, cars => 40);
my $dir = PostgreSQL::Test::Utils::tempdir();
mkdir "$dir/store";
$f->sql('c1', 'CREATE DATABASE plain');
$f->node('c1')->safe_psql('plain', $o->schema . $o->rows);
$f->sql('c1', $o->schema);
$f->sql('c1', "SELECT vectorshard.create_reference_table('kind')");
$f->sql('c1', "SELECT vectorshard.create_vector_shard_table('$_', 'car')") for 'trip', 'visit';
$f->sql('c1', "SELECT vectorshard.create_vector_shard_table('purse', 'car', consistency => 'home')");
$f->sql('c1', "SELECT vectorshard.create_store('attic', 'file://$dir/store')");
$f->sql('c1', $o->rows);
my %number = map { my $n = $_; ($n => $f->sql('c1', "SELECT node FROM vectorshard.node WHERE name = '$n'")) } @nodes;

# Runs statements in one session; what each gave, its lines sorted where the statement does not order them.
sub run_all {
	my ($node, $database, @statements) = @_;
	my $file = "$dir/statements.sql";
	open my $out, '>', $file or die $!;
	print $out "$_;\n\\echo == end\n" for @statements;
	close $out;
	my $got = '';
	IPC::Run::run([ 'psql', '-XAtq', '-d', $f->node($node)->connstr($database), '-f', $file ], '>', \$got, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	my @answers = split /^== end\n/m, $got, -1;
	pop @answers;
	return map { join "\n", sort split /\n/ } @answers;
}

my ($asked, $wrong) = (0, 0);

# What a node gives; a client that moves meanwhile makes 40001, after which applications repeat a transaction.
sub run_at {
	my ($node, @statements) = @_;
	my @got = run_all($node, 'postgres', @statements);
	return @got if @statements > 1 || $got[0] !~ /Retry the transaction/;
	$f->wait_for(sub { @got = run_all($node, 'postgres', @statements); return $got[0] !~ /Retry the transaction/; }, 20);
	return @got;
}

sub compare {
	my ($node, @statements) = @_;
	my @got = run_at($node, @statements);
	my @expected = run_all('c1', 'plain', @statements);
	for my $i (0 .. $#statements) {
		next if defined $got[$i] && $got[$i] eq $expected[$i] && $expected[$i] !~ /ERROR:/;
		$wrong++;
		my $answer = $got[$i] // 'nothing';
		diag("seed $seed, $asked asked before, on $node: $statements[$i]\n  gave\n$answer\n  plain tables give\n$expected[$i]") if $wrong <= 5;
	}
	return;
}

my $all = q{SELECT md5(coalesce(string_agg(r, E'\n' ORDER BY r COLLATE "C"), '')) FROM (SELECT (t.car, t.id, t.kind, t.km, t.note, t.at)::text AS r FROM trip t
  UNION ALL SELECT (v.car, v.place, v.rating, v.tags)::text FROM visit v) x};

sub settle {
	my ($expected) = run_all('c1', 'plain', $all);
	for my $node (@nodes) {
		next if $f->poll_until($node, $all, $expected);
		$wrong++;
		diag("seed $seed, $asked asked before: $node does not come to hold what was written");
	}
	return;
}

# One client somewhere else than before; what cannot be done now (it is there already, somebody else wishes it) is left.
sub move_something {
	my $car = $o->car;
	my $node = $o->one_of(@nodes);
	my $n = $number{$node};
	my $what = $o->below(5);
	if ($what == 2) {    # of the copies that are there
		my @copies = split /\n/, $f->sql($node, 'SELECT quote_literal(r.client) FROM vectorshard.resident r JOIN vectorshard.client c USING (client) WHERE c.home <> vectorshard.self_node() ORDER BY 1');
		return unless @copies;
		$car = $o->one_of(@copies);
	}
	my $wish = "INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version) SELECT client, $n, $n, now() + interval '1 hour', 'test', 0
	  FROM vectorshard.client WHERE client = $car ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until";
	my $unwish = "UPDATE vectorshard.wish SET until = now() - interval '1 s' WHERE client = $car AND node = $n";
	my ($home) = $f->sql('c1', "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = $car");
	return unless $home;
	my ($at, $sql) =
	    $what < 2 ? ($node, $wish)
	  : $what == 2 ? ($node, "$unwish; SELECT vectorshard.evict($car)")
	  : $what == 3 ? ($home, "SELECT vectorshard.move_to_cold($car, 'attic')")
	  :              ('c1', "SELECT vectorshard.move_home($car, '" . $o->one_of('c1', 'c2') . "')");
	my ($rc, $out, $err) = $f->node($at)->psql('postgres', $sql);
	$f->{done}{$what}++ if $rc == 0;
	return;
}

while ($asked < $queries && $wrong == 0) {
	move_something() for 1 .. 6;
	compare($_, $o->home_query) for @nodes, @nodes, @nodes;    # whatever is still under way
	settle();
	for my $node (@nodes) {
		my @statements = map { $o->query } 1 .. $a_round;
		compare($node, @statements);
		$asked += @statements;
	}
	my $writer = $o->one_of(@nodes);
	for (1 .. 8) {
		compare($writer, $o->change);
		compare($writer, $o->query);
		compare($writer, $o->home_change);
		compare($_, $o->home_query) for @nodes;
		$asked += @nodes;
	}
	settle();
}
note "asked $asked; moves " . join ', ', map { "$_: " . ($f->{done}{$_} // 0) } 0 .. 4;
is($wrong, 0, "every statement gives what plain tables give (seed $seed)");
cmp_ok($asked, '>=', $queries, 'and all were asked') unless $wrong;
ok(($f->{done}{$_} // 0) > 0, "clients were moved in way $_") for grep { $queries >= 2000 } 1 .. 4;
done_testing();
