# Topology: core c1, edges e1 and e2; five servers join one after the other.
# Proves: nodes join under steady writes of reference and vector-shard tables on three nodes; a joiner, or the node it joins through,
# is killed at a moment of chance, the join is called again and carries on; afterwards every node has the same reference rows and
# every holder, also the new nodes, the same rows of a client; no acknowledged row is lost.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;

my @joiners = map { "j$_" } 1 .. 5;
my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', @joiners ], connect => 0,
	config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.insert_wait_ms = 8000\nshared_buffers = 16MB\n");
$f->create('c1');
$f->join($_) for 'e1', 'e2';
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text); SELECT vectorshard.create_reference_table('kind');
  INSERT INTO kind SELECT -i, repeat('x', 500) FROM generate_series(1, 3000) i; INSERT INTO trip SELECT 'car' || c, 1, '' FROM generate_series(1, 4) c});
for my $n ('e1', 'e2') { $f->poll_until($n, q{SELECT count(*) FROM kind}, '3000') or die; }

my $w = Writers->new($f);
my $next = 10;
for my $n ('c1', 'e1', 'e2') {
	my @s;
	for my $i (1 .. 400) {
		my $id = $next++;
		push @s, "INSERT INTO trip VALUES ('car" . (1 + $i % 4) . "', $id, '$n') RETURNING car || ' ' || id";
		push @s, "INSERT INTO kind VALUES ($id, '$n') RETURNING 'kind ' || id";
		push @s, "UPDATE kind SET words = '$n $id' WHERE id = -" . (1 + $i % 50);
		push @s, "DELETE FROM kind WHERE id = -" . (100 + $id) if $i % 7 == 0;
	}
	$w->start($n, \@s);
}
ok($w->wait_for_more(20), 'three nodes write');

# The join in a process of its own; true if it has succeeded.
sub start_join {
	my ($name) = @_;
	my $place = $f->next_place;
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node($name)->connstr('postgres'), '-c', "SELECT vectorshard.join_fabric('$name', 'hub', $place)" ],
		'>', \my $out, '2>', \my $err);
}
my @victims = ('', $joiners[1], 'c1', $joiners[3], 'e1');
for my $i (0 .. 4) {
	my ($name, $via) = ($joiners[$i], $i == 4 ? 'e1' : 'c1');
	$f->prepare_join($name, $via);
	my $join = start_join($name);
	if ($victims[$i]) {
		$w->wait_for_more(int rand 8);    # a moment of chance
		$f->kill9_and_restart($victims[$i]);
		$join->finish;
		my $joined = $f->wait_for(sub {
			return 1 if $f->sql($name, 'SELECT vectorshard.self_node()') ne '0';
			start_join($name)->finish;
			return 0;
		}, 40);
		ok($joined, "$name joins, though $victims[$i] was killed meanwhile");
	} else {
		ok($join->finish, "$name joins");
	}
	$f->sql($name, "INSERT INTO trip VALUES ('car" . (1 + $i % 4) . "', -$i - 1, '$name')");
}
my @acknowledged = $w->finish;
my @all = ('c1', 'e1', 'e2', @joiners);
is($f->sql('c1', q{SELECT count(*), count(DISTINCT node), count(DISTINCT uuid) FROM vectorshard.node}), '8|8|8', 'eight nodes, eight numbers');
for my $n (@all) {
	$f->poll($n, q{SELECT count(*) FROM vectorshard.node}, '8', "$n knows all nodes");
	$f->poll($n, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$n owes nothing");
}
my $hash = q{SELECT count(*) || ' ' || md5(string_agg(k::text, ' ' ORDER BY id)) FROM kind k};
my $same = $f->wait_for(sub { my %h = map { $f->sql($_, $hash) => 1 } @all; return keys %h == 1; }, 30);
ok($same, 'every node has the same reference rows') or diag(join("\n", map { "$_: " . $f->sql($_, $hash) } @all));
for my $car (map { "car$_" } 1 .. 4) {
	my @holders = grep { $f->sql($_, "SELECT count(*) FROM vectorshard.resident WHERE client = '$car'") } @all;
	my $equal = $f->wait_for(sub { my %h = map { $f->client_hash($_, 'trip', $car, 'car') => 1 } @holders; return keys %h == 1; }, 30);
	ok($equal, "$car: its holders @holders have the same rows");
}
my %there = map { $_ => 1 } split /\n/, $f->sql('c1', q{SELECT car || ' ' || id FROM ONLY trip UNION ALL SELECT 'kind ' || id FROM kind});
my @lost = grep { !$there{$_} } @acknowledged;
is(scalar(@lost), 0, 'no acknowledged row is lost') or diag(join(', ', @lost[ 0 .. ($#lost > 9 ? 9 : $#lost) ]));
diag($_) for $w->errors;
done_testing();
