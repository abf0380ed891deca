# Topology: core c1, edges e1 and e2 side by side; the border of their areas is at longitude -122.35.
# Proves: a client that moves toward e2 is resident there before it arrives, with its motion; the old planner gives way;
# arrivals are counted as hit or miss; without prediction only the serving node is wished; dry_run writes nothing;
# motion survives kill -9; a hint brings a client that nobody reports.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ]);
$f->sql('c1', q{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT c, i FROM unnest('{a,b,d,f,h}'::text[]) c, generate_series(1, 3) i});
# A client that nobody here has heard of yet is planned for at its next report only.
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '5', "$_ knows the clients") for 'e1', 'e2';

sub residents { return "SELECT count(*) FROM vectorshard.resident WHERE client = '$_[0]'"; }

# A minute and a half on e1 eastward at 30 m/s, a report a second, up to 200 m before the border, 20 s ago.
sub drive {
	my ($client) = @_;
	return $f->sql('e1', qq{SELECT vectorshard.report(array_agg('$client'::text), array_agg(-122.3523 - 0.00034 * (90 - i)),
		array_agg(37.70::float8), NULL, NULL, array_agg(now() - (110 - i) * interval '1 s')) FROM generate_series(0, 90) i});
}
sub arrive {
	my ($node, $client, $lon, $ago_s) = @_;
	return $f->sql($node, "SELECT vectorshard.report('$client', ST_SetSRID(ST_MakePoint($lon, 37.70), 4326), "
		  . "observed_at => now() - interval '$ago_s s')");
}
sub set_on_e1 {
	my ($name, $value) = @_;
	$f->sql('e1', "ALTER SYSTEM SET vectorshard.$name = $value");
	$f->sql('e1', 'SELECT pg_reload_conf()');
	$f->poll('e1', "SHOW vectorshard.$name", $value, "$name is $value");
}
my $quality = 'SELECT arrivals, hits FROM vectorshard.placement_quality';

is(drive('a'), '91', 'all reports are taken');
$f->poll('e1', residents('a'), '1', 'resident where it is served');
$f->poll('e2', residents('a'), '1', 'resident where it will be served');
like($f->sql('e1', q{SELECT reason FROM vectorshard.placements WHERE client = 'a' AND node = 'e2'}),
	qr/^may arrive in \d+ s .*confidence 0\.\d+.*a copy takes/, 'the reason of the wish');
is($f->sql('e1', q{SELECT node FROM vectorshard.predict('a') LIMIT 1}), 'e2', 'predict names the next node');
is($f->sql('e1', q{SELECT probability BETWEEN 0.1 AND 1, earliest_s <= eta_s, arrivals_per_h > 0, lead_s > 0, value > 0, rank, tier
	FROM vectorshard.explain_placement('a') WHERE node = 'e2'}), 't|t|t|t|t|1|hot', 'explain_placement has the numbers');
is($f->sql('e1', q{SELECT tier, value IS NULL, rank IS NULL FROM vectorshard.explain_placement('a') WHERE node = 'e1'}), 'hot|t|t', 'where it is served nothing is weighed');
is(arrive('e1', 'a', -122.3512, 16), 't', 'one more report on e1');
$f->poll('e2', q{SELECT count(*) FROM vectorshard.motion WHERE client = 'a'}, '1', 'its motion is there too');

is(arrive('e2', 'a', -122.3490, 8), 't', 'the first report on e2');
$f->poll('e2', $quality, '1|1', 'an arrival, and a hit');
is($f->sql('e2', q{SELECT ST_X("position") > -122.3480 FROM vectorshard.predicted_path('a', 30, 1) OFFSET 1}), 't',
	'e2 knows from its first report on where the client is heading');
$f->poll('e1', q{SELECT reason FROM vectorshard.explain_placement('a') WHERE decision = 'not planned here'},
	'node e2 serves the client, and plans for it', 'e1 gives way');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'a' AND planner = 2 AND until > now()}, '0', 'e1 ends its wishes');
is(arrive('e1', 'a', -122.3502, 0), 't', 'it comes back');
$f->poll('e1', $quality, '1|1', 'that is an arrival too');
$f->poll('e2', q{SELECT reason FROM vectorshard.explain_placement('a') WHERE decision = 'not planned here'},
	'node e1 serves the client, and plans for it', 'e2 gives way');

set_on_e1('predictor', 'none');
is(drive('b'), '91', 'a client that is not predicted');
$f->poll('e1', residents('b'), '1', 'comes to the node that serves it');
is($f->sql('e1', q{SELECT string_agg(node::text, ',') FROM vectorshard.wish WHERE client = 'b'}), '2', 'and to no other');
$f->poll('e2', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'b'}, '1', 'e2 hears who serves it');
is(arrive('e2', 'b', -122.3490, 5), 't', 'its first report on e2');
$f->poll('e2', $quality, '2|1', 'an arrival, and a miss');
$f->poll('e2', residents('b'), '1', 'it follows');
set_on_e1('predictor', 'forecast');
is(drive('f'), '91', 'a client that is forecast');
$f->poll('e2', residents('f'), '1', 'is where it will be served, before anything was learned');
like($f->sql('e1', q{SELECT reason FROM vectorshard.placements WHERE client = 'f' AND node = 'e2'}),
	qr/^may arrive in \d+ s .*arrivals in an hour of copies\), a copy takes/, 'and why');
set_on_e1('predictor', 'reach_set');

set_on_e1('placement_mode', 'dry_run');
is(drive('d'), '91', 'dry run');
like($f->sql('e1', q{SELECT string_agg(coalesce(node, '-') || ':' || decision, ' ') FROM vectorshard.explain_placement('d')}),
	qr/^-:nothing is written e1:wish for \d+ s e2:wish for \d+ s$/, 'what would be wished is told');
set_on_e1('placement_mode', 'on');
is(arrive('e1', 'd', -122.3522, 5), 't', 'a report after the dry run');
$f->poll('e1', residents('d'), '1', 'now it is placed');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'd' AND _version < (SELECT min(_version) FROM vectorshard.holder
	WHERE client = 'd' AND node = 2)}), $f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'd' AND planner = 2}),
	'all its wishes were written after the dry run, before the copy');

$f->poll('e1', q{SELECT count(*) FROM vectorshard.motion WHERE client = 'd'}, '1', 'its motion is checkpointed');
$f->kill9_and_restart('e1');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.predicted_path('d', 60, 3)}), '4', 'motion is read back after kill -9');

# A report a second after the last one is not checkpointed by the way.
is(arrive('e1', 'd', -122.3521, 0), 't', 'a report just before the server is stopped');
my $last = q{SELECT extract(epoch FROM at) FROM vectorshard.predicted_path('d', 60, 1) LIMIT 1};
my $before = $f->sql('e1', $last);
$f->node('e1')->stop('fast');
$f->node('e1')->start;
is($f->sql('e1', $last), $before, 'a clean stop forgets no report');

is($f->sql('e2', residents('h')), '0', 'a client that nobody reports');
$f->sql('c1', q{SELECT vectorshard.hint('h', 'e2')});
$f->poll('e2', residents('h'), '1', 'comes where a hint says');

done_testing();
