# Topology: core c1 (the home of all, with a store that takes an hour to give rows back, and one that takes none), edge e1, where the clients rest.
# Proves: a client that comes back to a node at the same hour each day is there before it comes, brought back from the store in time; one
# that comes back after short pauses is kept; one in a store that takes no time stays there meanwhile; one without habits is not warmed, and stays in the store; prices decide; a start says
# anew who serves the client.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.keep_s = 1\nvectorshard.report_max_age_s = 1000000000\nvectorshard.check_rate = 0");
my ($dir, $fast) = (PostgreSQL::Test::Utils::tempdir(), PostgreSQL::Test::Utils::tempdir());
$f->sql('c1', qq{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('item', 'client');
	INSERT INTO item SELECT c, i FROM unnest('{daily,never,often,swift}'::text[]) c, generate_series(1, 3) i;
	SELECT vectorshard.create_store('slow', 'file://$dir', 3600);
	SELECT vectorshard.create_store('fast', 'file://$fast');
	SELECT vectorshard.set_price('home', copy_hour => 500)});    # an hour in the heap costs more than a day or two of habit are worth
$f->poll('e1', 'SELECT count(*) FROM vectorshard.client', '4', 'e1 knows the clients');
$f->poll('e1', 'SELECT count(*) FROM vectorshard.price', '1', 'and the price');

# A report at a time (seconds since 1970), then silence until now: a session and a rest.
sub session {
	my ($client, $at) = @_;
	$f->sql('e1', "SELECT vectorshard.report('$client', ST_SetSRID(ST_MakePoint(-122.40, 37.70), 4326), observed_at => to_timestamp($at))");
	return $f->poll_until('e1', "SELECT ended_at = to_timestamp($at) FROM vectorshard.rest WHERE client = '$client'", 't');
}
my $now = $f->sql('e1', 'SELECT extract(epoch FROM now())::bigint');
my $start = $now - $now % 900 + 1830;    # half a minute into a quarter of an hour: 15 to 30 minutes from now
my ($day, $hour) = (86400, 3600);
for my $client ('daily', 'swift') {
	ok(session($client, $start - $_ * $day), "a session $_ days ago") for reverse 1 .. 4;
}
ok(session('never', $now - $_), 'a session at some hour') for 4 * $day - 5 * $hour, 3 * $day - 9 * $hour, 2 * $day - 13 * $hour, $day - 17 * $hour;
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE reason ~ '^expected back'}), '0', 'nobody is expected within seconds');

# Before that is due, it is told when, why, how likely, and where the rows will be; of who has no hours nothing.
my $expected = q{SELECT node || ' ' || reason FROM vectorshard.explain_placement('%s') WHERE decision = 'expected back'};
like($f->sql('e1', sprintf($expected, 'daily')),
	qr/^e1 expected back between (\d\d):(?:00|15|30|45) and \d\d:\d\d UTC: came back here at that hour 3 of 3 times that it rested then; hot on this node from \d\d:\d\d UTC on$/,
	'a client that rests is expected back');
is($f->sql('e1', q{SELECT round(probability::numeric, 2) || ' ' || (eta_s BETWEEN 900 AND 2700) || ' ' || (round(arrivals_per_h::numeric, 1) = 3.0) || ' ' || (lead_s > 0 AND value > 0)
	FROM vectorshard.explain_placement('daily') WHERE decision = 'expected back'}), '0.75 true true true', 'with the numbers');
like($f->sql('e1', sprintf($expected, 'never')), qr/^c1 expected back .* came back here at that hour 1 of \d times that it rested then; out of the store at its home from/,
	'a weak habit is worth no copy, but an hour of thawing');
is($f->sql('e1', sprintf($expected, 'often')), '', 'who never rested is not expected');
is($f->sql('c1', sprintf($expected, 'daily')), '', 'nor on a node where it does not rest');

# They go into a store once nobody wishes them.
for ([daily => 'slow'], [never => 'slow'], [swift => 'fast']) {
	my ($client, $store) = @$_;
	$f->poll('e1', "SELECT count(*) FROM vectorshard.resident WHERE client = '$client'", '0', "$client goes from e1");
	ok($f->wait_for(sub { return $f->error_of('c1', "SELECT vectorshard.move_to_cold('$client', '$store')") =~ /^no error/ }), "$client goes into the $store store");
}
# Because it takes an hour to come back, it is asked for now.
$f->poll('e1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'daily'}, '1', 'who comes at this hour each day is brought back in time', 120);
like($f->sql('c1', q{SELECT reason FROM vectorshard.placements WHERE client = 'daily' AND node = 'e1'}), qr/^expected back at about \d\d:\d\d UTC.*starts in an hour/,
	'and why');
is($f->sql('e1', q{SELECT eta BETWEEN now() + interval '10 min' AND now() + interval '40 min' AND value > 0 FROM vectorshard.wish WHERE client = 'daily' AND node = 2}),
	't', 'with the time when it is expected');

# Who lies in the other store need not be asked for yet.
$f->poll('e1', q{SELECT store FROM vectorshard.holder WHERE client = 'swift' AND state = 'cold'}, 'fast', 'e1 knows who lies in the fast store');
$f->sql('e1', q{UPDATE vectorshard.rest SET look_at = now() WHERE client = 'swift'});
$f->poll('e1', q{SELECT look_at > now() + interval '1 min' FROM vectorshard.rest WHERE client = 'swift'}, 't', 'it is looked at');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'swift' AND reason ~ '^expected back'}), '0', 'who comes at the same hour and is brought back at once is left there');
like($f->sql('e1', sprintf($expected, 'swift')), qr/; hot on this node from \d\d:\d\d UTC on$/, 'until later');

# Pauses of 500 s, five times; it has been silent for 430 s.
ok(session('often', $now - 430 - 500 * $_), 'a short pause') for reverse 1 .. 5;
ok(session('often', $f->sql('e1', 'SELECT extract(epoch FROM now())::bigint - 430')), 'it pauses again');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'often' AND reason ~ '^expected back'}, '1', 'who comes back soon is kept');
like($f->sql('e1', sprintf($expected, 'often')),
	qr/^e1 expected back between \d\d:\d\d and \d\d:\d\d UTC: came back here \d of \d times that it had paused for \d+ s, within another \d+ s; hot on this node now$/,
	'which is told as well');

is($f->sql('c1', q{SELECT string_agg(DISTINCT state, ',') FROM vectorshard.holder WHERE client = 'never' AND state <> 'gone'}), 'cold', 'who has no hours stays in the store');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'never' AND reason ~ '^expected back'}), '0', 'and is not expected');

is($f->sql('e1', q{SELECT max(lead_s) >= 3600 FROM vectorshard.explain_placement('never')}), 't', 'a copy of it would take as long as the store');

# Today's session.
my $hits = $f->sql('e1', 'SELECT hits FROM vectorshard.placement_quality');
$f->sql('e1', q{SELECT vectorshard.report('daily', ST_SetSRID(ST_MakePoint(-122.40, 37.70), 4326))});
$f->poll('c1', q{SELECT reason FROM vectorshard.wish WHERE client = 'daily' AND node = 2}, 'serves the client', 'a start says anew who serves the client');
is($f->sql('e1', 'SELECT count(*) FROM ONLY item WHERE client = $$daily$$'), '3', 'its rows are there');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.rest WHERE client = 'daily' AND ended_at IS NULL AND look_at IS NULL}, '1', 'it does not rest');
is($f->sql('e1', sprintf($expected, 'daily')), '', 'and is not expected any more');

# Dearer than any habit: nothing more is kept for.
$f->sql('c1', q{SELECT vectorshard.set_price('edge', copy_hour => 1e6)});
$f->poll('e1', 'SELECT count(*) FROM vectorshard.price', '2', 'a price is set');
$f->sql('e1', q{UPDATE vectorshard.wish SET until = now() WHERE client = 'often' AND planner = 2; UPDATE vectorshard.rest SET look_at = now() WHERE client = 'often'});
$f->poll('e1', q{SELECT look_at > now() FROM vectorshard.rest WHERE client = 'often'}, 't', 'it is decided anew');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'often' AND node = 2 AND until > now()}), '0', 'what costs more than it saves is not done');
is($f->sql('c1', 'SELECT count(*), count(DISTINCT client) FROM item'), '12|4', 'no row is lost');
done_testing();
