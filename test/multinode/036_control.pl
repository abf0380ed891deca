# Topology: core c1, edges e1, e2 and e3 on a line from west to east; borders of their areas at longitudes -122.45, -122.35, -122.25.
# Proves: a holder itself refuses what a ban or a region forbids, whoever wishes it, and lets go what it finds there; rows are not
# lost by that; writers are told; what is allowed again comes again; a hint by place brings a client to the node that serves the place;
# a geofence binds while the client is in it; a tier floor keeps out of every store, or of archives, and brings back; least copies are kept when nodes die, the home too.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', 'e3' ], config => "vectorshard.tiering_interval_ms = 300\n");
$f->sql('c1', q{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT c, i FROM unnest('{a,b,c,d,g,h,k,q,s,t,u,x}'::text[]) c, generate_series(1, 3) i});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '12', "$_ knows the clients") for 'e1', 'e2', 'e3';

sub residents { return "SELECT count(*) FROM vectorshard.resident WHERE client = '$_[0]'"; }
sub box { return "ST_MakeEnvelope($_[0], 37, $_[1], 38, 4326)"; }

# One that reports here once, and is silent from then on.
$f->sql('e1', q{SELECT vectorshard.report('q', ST_SetSRID(ST_MakePoint(-122.40, 37.70), 4326))});

# A ban finds a copy that a pin keeps, with a row that only it has seen last.
$f->sql('c1', q{SELECT vectorshard.place('a', 'e2')});
$f->poll('e2', residents('a'), '1', 'a copy by pin');
$f->sql('e2', q{INSERT INTO item VALUES ('a', 100)});
is($f->sql('c1', q{SELECT vectorshard.forbid('a', 'e2')}), 'forbid a on e2 by c1', 'a ban');
$f->poll('e2', residents('a'), '0', 'the copy goes at once, though it is pinned and was just there');
is($f->sql('c1', q{SELECT count(*) FROM ONLY item WHERE client = 'a'}), '4', 'its home has all of it');
is($f->sql('e2', q{SELECT count(*) FROM item WHERE client = 'a'}), '4', 'and it can be read from there');
like($f->error_of('c1', q{SELECT vectorshard.place('a', 'e2')}), qr/55000: client "a" may not be on node "e2"/, 'place() refuses');
like($f->error_of('e2', q{INSERT INTO item VALUES ('a', 101)}), qr/55000: client "a" may not be on this node.*forbid a on e2 by c1.*end_policy/s,
	'so does a writer');
is($f->sql('e2', q{UPDATE item SET id = 99 WHERE client = 'a' AND id = 100 RETURNING id}), '99', 'an update goes to the home');

# A planner that has not heard of it: the holder takes the other client of the same wish.
$f->sql('e1', q{INSERT INTO vectorshard.wish SELECT c, 3, 2, now() + interval '1 hour', 'stale', 0 FROM unnest('{a,b}'::text[]) c});
$f->poll('e2', residents('b'), '1', 'what is wished and allowed comes');
$f->sql('e1', q{INSERT INTO vectorshard.wish VALUES ('c', 3, 2, now() + interval '1 hour', 'stale', 0)});
$f->poll('e2', residents('c'), '1', 'more of it');
is($f->sql('e2', residents('a')), '0', 'what is banned does not');
like($f->error_of('e2', q{SELECT vectorshard.end_policy('forbid a on e2 by c1')}), qr/55000: policy .* given on another node.*"c1"/s, 'ended elsewhere: no');
$f->sql('c1', q{SELECT vectorshard.end_policy('forbid a on e2 by c1')});
$f->poll('e2', residents('a'), '1', 'the wish is obeyed when the ban has ended');

# Every client: what is there goes, what is new is not born there, and is elsewhere.
$f->sql('c1', q{SELECT vectorshard.forbid(NULL, 'e2')});
$f->poll('e2', 'SELECT count(*) FROM vectorshard.resident', '0', 'nothing stays on a node that is forbidden to all');
like($f->error_of('e2', q{INSERT INTO item VALUES ('new', 1)}), qr/55000: client "new" may not be on this node/, 'nobody is born there');
$f->sql('e1', q{INSERT INTO item VALUES ('new', 1)});
is($f->sql('e1', residents('new')), '1', 'but next to it');
$f->sql('c1', q{SELECT vectorshard.end_policy('forbid every client on e2 by c1')});
$f->poll('e2', 'SELECT count(*) FROM vectorshard.resident', '3', 'the wishes are obeyed again');

# A region: nodes that are not located in it.
$f->sql('c1', "SELECT vectorshard.confine('d', " . box(-122.55, -122.35) . ')');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.policies WHERE client = 'd'}, '1', 'e1 knows the region');
$f->poll('e3', q{SELECT count(*) FROM vectorshard.policies WHERE client = 'd'}, '1', 'e3 knows it too');
$f->sql('e1', q{INSERT INTO vectorshard.wish SELECT c, n, 2, now() + interval '1 hour', 'stale', 0 FROM unnest('{d,x}'::text[]) c, unnest('{2,4}'::int[]) n});
$f->poll('e3', residents('x'), '1', 'wished and allowed');
$f->poll('e1', residents('d'), '1', 'within the region');
is($f->sql('e3', residents('d')), '0', 'not without');
like($f->sql('e1', q{SELECT vectorshard.report('d', ST_SetSRID(ST_MakePoint(-122.3523, 37.70), 4326), speed_mps => 30, heading_deg => 90);
	SELECT string_agg(node || ': ' || reason, ' ' ORDER BY node) FROM vectorshard.explain_placement('d') WHERE node IN ('e2', 'e1')}),
	qr/e1: serves the client e2: policy confine d to area \w+ by c1 bans it from the node/, 'the planner says so too');

like($f->sql('e1', q{SELECT string_agg(coalesce(node, '-') || ' ' || policy, ' ' ORDER BY node) FROM vectorshard.explain_placement('d') WHERE policy IS NOT NULL}),
	qr/^e2 (confine d to area \w+ by c1) - \1$/, 'and names the policy, for the node and for the client');

# A hint by place.
$f->sql('c1', q{SELECT vectorshard.hint('h', ST_SetSRID(ST_MakePoint(-122.19, 37.70), 4326))});
$f->poll('e3', residents('h'), '1', 'a client comes to the node that serves the place of its hint');

# A geofence about e2's area: while the client is in there, only e2 and e1 may hold it. The one who serves it tells all.
sub at {
	my ($node, $client, $lon, $ago_s) = @_;
	return is($f->sql($node, "SELECT vectorshard.report('$client', ST_SetSRID(ST_MakePoint($lon, 37.70), 4326), observed_at => now() - interval '$ago_s s')"),
		't', "$client reports at $lon");
}
$f->sql('c1', q{SELECT vectorshard.place('g', 'e3')});
$f->poll('e3', residents('g'), '1', 'a copy outside the fence');
$f->sql('c1', "SELECT vectorshard.confine('g', " . box(-122.45, -122.25) . ', ' . box(-122.35, -122.25) . ')');
$f->poll($_, q{SELECT count(*) FROM vectorshard.policies WHERE client = 'g' AND kind = 'confine'}, '1', "$_ knows the fence") for 'e1', 'e2', 'e3';
at('e3', 'g', -122.2470, 200);
$f->poll('e3', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'g' AND planner = 4}, '1', 'a report beside the fence');
is($f->sql('e3', residents('g')), '1', 'changes nothing');
at('e2', 'g', -122.3000, 100);
$f->poll('e3', residents('g'), '0', 'a report inside: what is outside goes, pinned or not');
$f->poll('e2', residents('g'), '1', 'and it is where it is served');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.bans_of('{g}', 4)}, '1', 'every node knows');
like($f->error_of('e3', q{INSERT INTO item VALUES ('g', 100)}), qr/55000: client "g" may not be on this node/, 'writers outside are refused');
at('e3', 'g', -122.2000, 0);
$f->poll('e3', residents('g'), '1', 'a report outside lifts it');
is($f->sql('e3', q{INSERT INTO item VALUES ('g', 100) RETURNING id}), '100', 'for writers too');

# A fence that is given while a client stands in it, silent: e3 serves it, has it, and may not.
at('e3', 's', -122.2100, 0);
$f->poll('e3', residents('s'), '1', 'a client stands still');
$f->sql('c1', "SELECT vectorshard.confine('s', " . box(-122.55, -122.45) . ', ' . box(-122.25, -122.15) . ')');
$f->poll('e3', residents('s'), '0', 'a fence about it, without any report');
is($f->sql('c1', q{SELECT count(*) FROM ONLY item WHERE client = 's'}), '3', 'its home has its rows');

# A tier floor: not packed though idle, not by hand either, and brought back when it is given late.
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
is($f->sql('e1', q{SELECT vectorshard.keep_tier('t')}), 'keep_tier t by e1', 'a tier floor');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.policies WHERE tier = 'hot'}, '1', 'its home knows it');
$f->sql('c1', q{SELECT vectorshard.add_tier_policy(NULL, interval '100 ms', 'cold')});
$f->poll('c1', q{SELECT count(DISTINCT client) FROM vectorshard.cold_client WHERE client = 'u'}, '1', 'an idle client goes to the store');
is($f->sql('c1', residents('t')), '1', 'but this one');
$f->sql('c1', q{SELECT vectorshard.remove_tier_policy(NULL)});
like($f->error_of('c1', q{SELECT vectorshard.move_to_cold('t', 'cold')}), qr/55000: a policy keeps client "t" out of store "cold".*the tier is hot at least/s, 'nor by hand');
$f->sql('e1', q{SELECT vectorshard.keep_tier('u')});
$f->poll('c1', residents('u'), '1', 'given late, it brings back');
$f->sql('e1', q{SELECT vectorshard.end_policy('keep_tier t by e1')});
$f->poll('c1', q{SELECT count(*) FROM vectorshard.policies WHERE client = 't'}, '0', 'the floor is gone');
$f->sql('c1', q{SELECT vectorshard.move_to_cold('t', 'cold')});
$f->poll('c1', q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 't'}, '1', 'and so is the client');

# A floor of cold: a store that is read at once will do, an archive will not, by itself or by hand; nor does the client stay where a store becomes one.
my $archive = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', qq{SELECT vectorshard.create_store('glacier', 'file://$archive', 3600); INSERT INTO item SELECT 'v', i FROM generate_series(1, 3) i});
is($f->sql('e1', q{SELECT vectorshard.keep_tier('u', 'cold')}), 'keep_tier u by e1', 'a floor of cold in place of hot');
$f->poll('c1', q{SELECT tier, in_force FROM vectorshard.policies WHERE policy = 'keep_tier u by e1'}, 'cold|t', 'its home knows it');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.wish WHERE client IN ('t', 'u', 'v') AND until > now()}, '0', 'nobody wishes it any more', 90);
like($f->error_of('c1', q{SELECT vectorshard.move_to_cold('u', 'glacier')}), qr/55000: a policy keeps client "u" out of store "glacier".*"keep_tier u by e1": the tier is cold at least/s, 'not into an archive by hand');
$f->sql('c1', q{SELECT vectorshard.add_tier_policy(NULL, interval '100 ms', 'glacier')});
$f->poll('c1', q{SELECT count(DISTINCT client) FROM vectorshard.cold_client WHERE client = 'v'}, '1', 'an idle client goes to the archive');
is($f->sql('c1', residents('u')), '1', 'but this one');
$f->sql('c1', q{SELECT vectorshard.add_tier_policy(NULL, interval '100 ms', 'cold')});
$f->poll('c1', q{SELECT g.store FROM vectorshard.cold_client k JOIN vectorshard.segment g USING (segment) WHERE client = 'u' GROUP BY 1}, 'cold', 'which goes to the store');
is($f->sql('c1', q{SELECT count(*) FROM item WHERE client = 'u'}), '3', 'and is read there');
$f->sql('c1', q{SELECT vectorshard.remove_tier_policy(NULL)});
is($f->sql('c1', q{SELECT string_agg(DISTINCT tier || ' ' || store, ', ' ORDER BY tier || ' ' || store) FROM vectorshard.tier_usage WHERE tier <> 'hot'}), 'archive glacier, cold cold', 'tiers are told apart');
$f->sql('c1', qq{SELECT vectorshard.create_store('cold', 'file://$store', 60)});
$f->poll('c1', residents('u'), '1', 'a store that becomes an archive gives it back');
is($f->sql('c1', q{SELECT count(DISTINCT client) FROM vectorshard.cold_client WHERE client = 't'}), '1', 'and keeps who may lie there');
$f->sql('c1', qq{SELECT vectorshard.create_store('cold', 'file://$store', 0)});

# What was given in dry_run holds as soon as that ends.
$f->sql('e1', q{ALTER SYSTEM SET vectorshard.placement_mode = dry_run; SELECT pg_reload_conf()});
$f->poll('e1', 'SHOW vectorshard.placement_mode', 'dry_run', 'dry_run');
$f->sql('e1', q{SELECT vectorshard.hint('c', 'e3')});
$f->poll('e1', q{SELECT decision || ' ' || node FROM vectorshard.decisions('c') WHERE dry_run}, 'wish e3', 'a hint is looked at');
is($f->sql('e3', residents('c')), '0', 'and does nothing');
$f->sql('e1', q{ALTER SYSTEM RESET vectorshard.placement_mode; SELECT pg_reload_conf()});
$f->poll('e3', residents('c'), '1', 'until placement is on', 20);

# Least copies of a client that has been silent for longer than its node says that it serves it: that is up to the home, at once.
$f->poll('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'q' AND until > now()}, '0', 'a client is silent');
like($f->sql('e1', q{SELECT decision || ': ' || reason FROM vectorshard.explain_placement('q') WHERE node = 'e1'}),
	qr/^no wish: served it last, and has heard nothing of it for \d+ s$/, 'which is told');
$f->sql('e1', q{SELECT vectorshard.keep_copies('q', 3)});
$f->poll('c1', q{SELECT count(*) FROM vectorshard.placements WHERE client = 'q' AND reason = 'policy keep_copies q by e1 keeps 3 copies' AND planner = 'c1' AND NOT is_home}, '2',
	'its home sees to its copies', 20);
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'q' AND until > now() AND reason = 'serves the client'}), '0', 'and nobody says that it serves it');

# Least copies: the home and the nearest; others when a node dies, and when that is the home.
my $live = q{SELECT string_agg(node, ' ' ORDER BY node) FROM vectorshard.placements WHERE client = 'k' AND state = 'live'};
$f->sql('e3', q{SELECT vectorshard.keep_copies('k', 2)});
$f->poll('c1', $live, 'c1 e1', 'two copies: its home, and the nearest to that');
like($f->sql('c1', q{SELECT string_agg(reason, '') FROM vectorshard.placements WHERE client = 'k'}), qr/^policy keep_copies k by e3 keeps 2 copies$/, 'and why');
$f->node('e1')->stop('immediate');
$f->poll('e2', residents('k'), '1', 'a node died: the next nearest has one', 90);
is($f->sql('e3', residents('k')), '0', 'no more than asked for');
$f->start_again('e1');
$f->poll('e1', residents('k'), '1', 'what comes back still has its own');
$f->sql('e3', q{SELECT vectorshard.keep_copies('k', 3)});
$f->poll('e1', q{SELECT copies FROM vectorshard.policies WHERE client = 'k'}, '3', 'one more');
$f->node('c1')->stop('immediate');
$f->poll('e3', residents('k'), '1', 'the home died: whoever holds it sees to it', 90);
is($f->sql('e3', q{SELECT count(*) FROM item WHERE client = 'k'}), '3', 'with its rows');

done_testing();
