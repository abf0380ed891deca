# Topology: core c1, edges e1, e2 and e3 in a row.
# Proves: a client that only hands over from cell to cell, whose position nobody knows, is placed ahead by its habits: after some
# rounds e1, e2, e3 with ten minutes on each it is at the next node before it comes there, though it reports nothing meanwhile;
# what it does when is learned over the nodes, also where its rows come after it, and survives kill -9. It keeps its place while it rests.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', 'e3' ],
	config => "vectorshard.report_max_age_s = 100000\nvectorshard.navigator_pass_ms = 200\nvectorshard.keep_s = 1\n");
$f->sql('c1', q{CREATE TABLE item (client text PRIMARY KEY);
                SELECT vectorshard.create_vector_shard_table('item', 'client'); INSERT INTO item VALUES ('phone')});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '1', "$_ knows the client") for 'e1', 'e2', 'e3';
my $residents = q{SELECT count(*) FROM vectorshard.resident WHERE client = 'phone'};
my $from = '';

# Comes to a node as many seconds ago; its rows follow.
sub come {
	my ($node, $ago_s) = @_;
	my $before = $from ? "'$from'" : 'NULL';
	is($f->sql($node, "SELECT vectorshard.report_handover('phone', $before, now() - $ago_s * interval '1 s')"), 't', "to $node");
	$f->poll($node, $residents, '1', "resident on $node");
	# What it did is on its way with it once it is written here.
	$f->poll($node, qq{SELECT count(*) FROM vectorshard.motion WHERE client = 'phone' AND abs(extract(epoch FROM now() - observed_at) - $ago_s) < 60}, '1',
		"its motion is written on $node");
	$f->poll('c1', q{SELECT (SELECT observed_at FROM vectorshard.motion WHERE client = 'phone') IS NOT NULL}, 't', 'and known at home');
	$from = $node;
	return;
}

# Five rounds, the sixth has begun: on e1 since nearly ten minutes.
my @route = ((map { ('e1', 'e2', 'e3') } 1 .. 5), 'e1');
for my $i (0 .. $#route) { come($route[$i], 560 + 600 * ($#route - $i)); }
$f->poll('e2', $residents, '1', 'on e2 before it comes there');
like($f->sql('e1', q{SELECT node, probability > 0.05 FROM vectorshard.predict('phone', 120) LIMIT 1}), qr/^e2\|t$/, 'as its habits say');
like($f->sql('e1', q{SELECT reason FROM vectorshard.placements WHERE client = 'phone' AND node = 'e2'}), qr/may arrive in/, 'and the reason of the wish');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'phone' AND node = 4 AND until > now()}, '0', 'not on e3, to which it never went from e1');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'phone' AND node = 2 AND planner = 2 AND until > now() + interval '15 minutes'}), '1',
	'it is reckoned to be on e1 as long as it says nothing else');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.predicted_path('phone')}), '0', 'it has no path');

$f->kill9_and_restart('e1');
like($f->sql('e1', q{SELECT node FROM vectorshard.predict('phone', 120) LIMIT 1}), qr/^e2$/, 'habits survive kill -9');
my $hits = $f->sql('e2', 'SELECT hits FROM vectorshard.placement_quality');
come('e2', 0);
$f->poll('e2', 'SELECT hits FROM vectorshard.placement_quality', $hits + 1, 'its arrival on e2 is a hit');
done_testing();
