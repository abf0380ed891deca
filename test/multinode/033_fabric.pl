# Topology: core c1 (the home of all), edges e1, e2 and e3, which all want everything at once.
# Proves: the fabric's limits of bytes, copies and transfers are kept by a crowd of nodes that hear of each other late, and used up (copies to the last);
# what a writer or an operator asks for comes all the same, at a full node's side too, and counts; planners are told; no row is lost.
use strict;
use warnings;
use Fabric;
use Test::More;

my @edges = ('e1', 'e2', 'e3');
my $f = Fabric->new(core => 'c1', edges => \@edges, config => "vectorshard.keep_s = 600\nvectorshard.check_rate = 0\nvectorshard.max_fabric_bytes = '2MB'");
# Incompressible: random hexadecimal digits, 288 kB for each b.
$f->sql('c1', q{CREATE TABLE item (client text, id int, load text, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT 'a' || c, i, 'x' FROM generate_series(1, 60) c, generate_series(1, 3) i;
                INSERT INTO item SELECT 'b' || c, 1, (SELECT string_agg(md5(c || ' ' || i), '') FROM generate_series(1, 9000) i) FROM generate_series(1, 12) c});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '72', "$_ knows the clients") for @edges;

sub set_everywhere {
	my ($name, $value) = @_;
	$f->sql($_, "ALTER SYSTEM SET vectorshard.$name = '$value'; SELECT pg_reload_conf()") for 'c1', @edges;
	return $f->poll('e3', "SHOW vectorshard.$name", $value, "$name is $value");
}
# Wishes as a planner writes them, of the clients with this letter, on every edge, the lower the number the better.
sub wish_everywhere {
	my ($letter) = @_;
	return $f->sql('c1', qq{INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version, value)
		SELECT c.client, n.node, vectorshard.self_node(), now() + interval '1 hour', 'test', 0, 1000 - substr(c.client, 2)::int
		  FROM vectorshard.client c, vectorshard.node n WHERE c.client ~ '^$letter' AND n.name ~ '^e'});
}
sub on_all {
	my ($sql) = @_;
	my $sum = 0;
	$sum += $f->sql($_, $sql) for @edges;
	return $sum;
}
# Nothing goes for ten minutes, so what is counted one after the other was there at once.
my $copies = q{SELECT count(*) FROM vectorshard.resident r JOIN vectorshard.client c USING (client) WHERE c.home <> vectorshard.self_node()};
my $bytes = q{SELECT coalesce(sum(length(load)), 0) FROM ONLY item WHERE client ~ '^b'};
sub fills {
	my ($sql, $enough, $limit, $what) = @_;
	ok($f->wait_for(sub { on_all($sql) >= $enough }, 200), "$what: $enough of $limit are used");
	# A turn more for each node, until nothing is taken any more.
	my ($before, $now) = (-1, on_all($sql));
	my $rests = time;
	$f->wait_for(sub { ($before, $now) = ($now, on_all($sql)); $rests = time if $now > $before; return time - $rests > 20 || $now > $limit }, 120);
	return cmp_ok($now, '<=', $limit, "$what: never more than $limit ($now)");
}
sub written_on {
	my ($node, $client) = @_;
	ok($f->wait_for(sub { $f->error_of($node, "INSERT INTO item VALUES ('$client', 9, 'written')") =~ /^no error/ }, 30), "$client is written on $node");
	return is($f->sql($node, "SELECT count(*) FROM vectorshard.resident WHERE client = '$client'"), '1', 'and is there');
}

# Bytes: room for seven, all three want twelve.
wish_everywhere('b');
fills($bytes, 5 * 288000, 2 << 20, 'bytes');
written_on('e2', 'b12');
$f->sql('c1', q{SELECT vectorshard.place('b11', 'e3')});
$f->poll('e3', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'b11'}, '1', 'a pin comes too');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.node_load WHERE node IN ('e2', 'e3') AND bytes > 288000}, '2', 'it counts');
my $now = on_all($bytes);
cmp_ok($now, '<=', (2 << 20) + 2 * 288000, 'and is all that is beyond');

# Copies: those that are there count.
$f->sql('c1', q{UPDATE vectorshard.wish SET until = now() WHERE client ~ '^b'});
set_everywhere('max_fabric_bytes', '0');
set_everywhere('max_fabric_copies', 20);
wish_everywhere('a');
fills($copies, 20, 20, 'copies');
written_on('e1', 'a60');
written_on('e3', 'a59');
# A planner knows it too: of a client that drives on e1 towards e2 a copy is made where it is served, and no other.
$f->sql('c1', q{UPDATE vectorshard.wish SET until = now() WHERE client = 'a58'});
$f->poll('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'a58' AND until > now()}, '0', 'nobody wishes it');
is($f->sql('e1', q{SELECT vectorshard.report(array_agg('a58'::text), array_agg(-122.3523 - 0.00034 * (90 - i)),
	array_agg(37.70::float8), NULL, NULL, array_agg(now() - (95 - i) * interval '1 s')) FROM generate_series(0, 90) i}), '91', 'a client drives');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'a58'}, '1', 'it is served in any case');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.decisions('a58') WHERE node = 'e2' AND decision = 'refused' AND reason ~ 'the fabric holds as many copies as it may'}, '1',
	'but not copied to where it may go');
cmp_ok(on_all($copies), '<=', 23, 'and no more but those');

# Transfers: two at each of four nodes, while all wait for the home; and one at each, however many nodes there are.
my $under_way = q{SELECT count(*) FROM vectorshard.holder WHERE node = vectorshard.self_node() AND state = 'copying'};
$f->sql('c1', q{UPDATE vectorshard.wish SET until = now() WHERE client ~ '^a'});
set_everywhere('max_fabric_copies', 0);
for my $turn ([ 8, 2, 40 ], [ 1, 1, 60 ]) {
	my ($limit, $each, $clients) = @$turn;
	my $mine = "client ~ '^a' AND substr(client, 2)::int <= $clients";
	set_everywhere('max_fabric_transfers', $limit);
	$f->poll($_, $under_way, '0', "nothing is under way to $_") for @edges;
	my $out = '';
	my $lock = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('c1')->connstr('postgres'), '-c', 'BEGIN', '-c', 'LOCK TABLE item IN ACCESS EXCLUSIVE MODE',
		'-c', q{SELECT 'locked'}, '-c', 'SELECT pg_sleep(4)', '-c', 'COMMIT' ], '>', \$out);
	$f->wait_for(sub { $lock->pump_nb; $out =~ /locked/ });
	$f->sql('c1', "UPDATE vectorshard.wish SET until = now() + interval '1 hour' WHERE $mine");
	my %most = map { $_ => 0 } @edges;
	my $watch = sub {
		for my $e (@edges) {
			my $now = $f->sql($e, $under_way);
			$most{$e} = $now if $now > $most{$e};
		}
	};
	ok($f->wait_for(sub { $watch->(); return $most{e1} >= $each && $most{e2} >= $each && $most{e3} >= $each }, 10), "$limit at once: every node has its part under way");
	$lock->finish;
	$watch->() for 1 .. 3;
	cmp_ok($most{$_}, '<=', $each, "and no more ($most{$_} on $_)") for @edges;
	# What a writer waits for goes before the others, and beside them.
	written_on('e2', $limit == 8 ? 'a50' : 'b10');
	ok($f->wait_for(sub { $watch->(); return on_all("SELECT count(*) FROM vectorshard.resident WHERE $mine") == 3 * $clients }, 150), 'every node gets what it wants');
	cmp_ok($most{$_}, '<=', $each + ($_ eq 'e2'), "never more than its part ($most{$_} on $_)") for @edges;
}

is($f->sql('c1', q{SELECT count(*) - count(*) FILTER (WHERE id = 9), count(DISTINCT client) FROM ONLY item}), '192|72', 'no row is lost');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.check_fabric() WHERE client <> ''}, '0', 'every copy is equal to its home');
done_testing();
