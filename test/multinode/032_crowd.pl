# Topology: core c1 (the home of all), edges e1, e2, e3 side by side; the border between e2 and e3 is at longitude -122.25.
# Proves: 300 clients of e2 that all head for e3, which may hold 100: never more come than it may hold, the best of them are held, the
# queue is drained, what it says of its queue makes copies begin earlier, arrivals go before predictions, and no row is lost.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', 'e3' ], config => "vectorshard.predictor = reach_set\nvectorshard.horizon_margin_s = 60\nvectorshard.check_rate = 0");
$f->sql('c1', q{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT 'k' || c, i FROM generate_series(1, 301) c, generate_series(1, 3) i});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '301', "$_ knows the clients") for 'e2', 'e3';
$f->sql('e3', 'ALTER SYSTEM SET vectorshard.max_copies_per_node = 100');
$f->sql('e3', 'SELECT pg_reload_conf()');
$f->poll('e2', q{SELECT max_copies FROM vectorshard.node_load WHERE node = 'e3'}, '100', 'e2 knows what e3 may hold');

# Half a minute eastward at 10 m/s on e2; the i-th stands 100 + i m before the border at the end, 5 s ago.
my $metre = 1 / 88080;    # of longitude, at latitude 37.70
is($f->sql('e2', qq{SELECT vectorshard.report(array_agg('k' || c ORDER BY s), array_agg(-122.25 - $metre * (100 + c + 10 * (30 - s)) ORDER BY s),
		array_agg(37.70::float8), NULL, NULL, array_agg(now() - (35 - s) * interval '1 s' ORDER BY s))
	  FROM generate_series(1, 300) c, generate_series(0, 30) s}), '9300', 'all reports are taken');

my $residents = 'SELECT count(*) FROM vectorshard.resident';
my $most = 0;
sub watching {
	my ($sql, $expected, $what) = @_;
	my ($reached, $got) = (0, '');
	$reached = $f->wait_for(sub {
		(my $now, $got) = split /\n/, $f->sql('e3', "$residents; $sql"), 2;
		$most = $now if $now > $most;
		return $got eq $expected;
	}, 120);
	diag("gave $got") unless $reached;
	return ok($reached, $what);
}
watching($residents, '100', 'e3 takes what it may hold');
$f->poll('e2', $residents, '300', 'e2, which serves them, holds all', 120);
# Of what is wished, nothing that waits is clearly worth more than what is held.
watching(q{SELECT count(*) FROM vectorshard.wish w WHERE node = 4 AND until > now() AND NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = w.client)
	AND value > 1.25 * (SELECT min(v.value) FROM vectorshard.wish v JOIN vectorshard.resident r USING (client) WHERE v.node = 4 AND v.until > now())}, '0',
	'the best are held');
watching(q{SELECT residents, copies, queue, least_value IS NOT NULL FROM vectorshard.node_load WHERE node = 'e3'}, '100|100|0|t', 'and told; nobody waits in a queue');
$f->poll('e2', q{SELECT residents FROM vectorshard.node_load WHERE node = 'e3'}, '100', 'e2 hears that it is full');

# One more, further away: worth less.
$f->sql('e2', qq{SELECT vectorshard.report(array_agg('k301'::text), array_agg(-122.25 - $metre * (430 + 10 * (30 - s))), array_agg(37.70::float8), NULL, NULL,
	array_agg(now() - (35 - s) * interval '1 s')) FROM generate_series(0, 30) s});
my $explained = q{SELECT decision || ': ' || reason FROM vectorshard.explain_placement('k301') WHERE node = 'e3'};
like($f->sql('e2', $explained), qr/^no wish: the node is full/, 'a planner refuses in words');

# Half of them arrive.
is($f->sql('e3', qq{SELECT vectorshard.report(array_agg('k' || c), array_agg(-122.25 + $metre * 50), array_agg(37.70::float8), NULL, NULL, array_agg(now()))
	  FROM generate_series(1, 150) c}), '150', '150 arrive');
watching(q{SELECT count(*) FROM vectorshard.resident r JOIN vectorshard.wish w USING (client) WHERE w.node = 4 AND w.planner = 4 AND w.until > now()}, '100',
	'arrivals go before predictions');
is($f->sql('e3', q{SELECT count(*) FROM item WHERE client IN (SELECT 'k' || c FROM generate_series(1, 150) c)}), '450', 'who found no room is read from its home');
cmp_ok($most, '<=', 100, "never more than 100 ($most were seen)");
$f->poll('e2', q{SELECT least_value IS NULL FROM vectorshard.node_load WHERE node = 'e3'}, 't', 'now e3 gives up nothing');

# What a node says of its queue.
my $lead = q{SELECT lead_s FROM vectorshard.explain_placement('k301') WHERE node = 'e3'};
cmp_ok($f->sql('e2', $lead), '<', 60, 'the lead to e3');
$f->sql('e2', q{UPDATE vectorshard.node_state SET queue_s = 500 WHERE node = 4});
$f->poll('e2', "SELECT lead_s > 500 FROM ($lead) x", 't', 'is longer by its queue');

is($f->sql('c1', 'SELECT count(*), count(DISTINCT client) FROM ONLY item'), '903|301', 'no row is lost');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.check_fabric() WHERE client <> ''}, '0', 'every copy is equal to its home', 120);
done_testing();
