# Topology: core c1, edges e1, e2 and e3 on a line from west to east; borders of their areas at longitudes -122.45, -122.35, -122.25.
# Proves: a holder itself refuses what a ban or a region forbids, whoever wishes it, and lets go what it finds there; rows are not
# lost by that; writers are told; what is allowed again comes again; a hint by place brings a client to the node that serves the place.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', 'e3' ]);
$f->sql('c1', q{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT c, i FROM unnest('{a,b,c,d,g,h,k,t,x}'::text[]) c, generate_series(1, 3) i});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '9', "$_ knows the clients") for 'e1', 'e2', 'e3';

sub residents { return "SELECT count(*) FROM vectorshard.resident WHERE client = '$_[0]'"; }
sub box { return "ST_MakeEnvelope($_[0], 37, $_[1], 38, 4326)"; }

# A ban finds a copy that a pin keeps, with a row that only it has seen last.
$f->sql('c1', q{SELECT vectorshard.place('a', 'e2')});
$f->poll('e2', residents('a'), '1', 'a copy by pin');
$f->sql('e2', q{INSERT INTO item VALUES ('a', 100)});
is($f->sql('c1', q{SELECT vectorshard.forbid('a', 'e2')}), 'never a on 3 by 1', 'a ban');
$f->poll('e2', residents('a'), '0', 'the copy goes at once, though it is pinned and was just there');
is($f->sql('c1', q{SELECT count(*) FROM ONLY item WHERE client = 'a'}), '4', 'its home has all of it');
is($f->sql('e2', q{SELECT count(*) FROM item WHERE client = 'a'}), '4', 'and it can be read from there');
like($f->error_of('c1', q{SELECT vectorshard.place('a', 'e2')}), qr/55000: client "a" may not be on node "e2"/, 'place() refuses');
like($f->error_of('e2', q{INSERT INTO item VALUES ('a', 101)}), qr/55000: client "a" may not be on this node.*never a on 3 by 1.*end_policy/s,
	'so does a writer');
is($f->sql('e2', q{UPDATE item SET id = 99 WHERE client = 'a' AND id = 100 RETURNING id}), '99', 'an update goes to the home');

# A planner that has not heard of it: the holder takes the other client of the same wish.
$f->sql('e1', q{INSERT INTO vectorshard.wish SELECT c, 3, 2, now() + interval '1 hour', 'stale', 0 FROM unnest('{a,b}'::text[]) c});
$f->poll('e2', residents('b'), '1', 'what is wished and allowed comes');
$f->sql('e1', q{INSERT INTO vectorshard.wish VALUES ('c', 3, 2, now() + interval '1 hour', 'stale', 0)});
$f->poll('e2', residents('c'), '1', 'more of it');
is($f->sql('e2', residents('a')), '0', 'what is banned does not');
like($f->error_of('e2', q{SELECT vectorshard.end_policy('never a on 3 by 1')}), qr/55000: policy .* given on another node.*"c1"/s, 'ended elsewhere: no');
$f->sql('c1', q{SELECT vectorshard.end_policy('never a on 3 by 1')});
$f->poll('e2', residents('a'), '1', 'the wish is obeyed when the ban has ended');

# Every client: what is there goes, what is new is not born there, and is elsewhere.
$f->sql('c1', q{SELECT vectorshard.forbid(NULL, 'e2')});
$f->poll('e2', 'SELECT count(*) FROM vectorshard.resident', '0', 'nothing stays on a node that is forbidden to all');
like($f->error_of('e2', q{INSERT INTO item VALUES ('new', 1)}), qr/55000: client "new" may not be on this node/, 'nobody is born there');
$f->sql('e1', q{INSERT INTO item VALUES ('new', 1)});
is($f->sql('e1', residents('new')), '1', 'but next to it');
$f->sql('c1', q{SELECT vectorshard.end_policy('never on 3 by 1')});
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
	qr/e1: serves the client e2: policy region d \w+ by 1 bans it from the node/, 'the planner says so too');

# A hint by place.
$f->sql('c1', q{SELECT vectorshard.hint('h', ST_SetSRID(ST_MakePoint(-122.19, 37.70), 4326))});
$f->poll('e3', residents('h'), '1', 'a client comes to the node that serves the place of its hint');

done_testing();
