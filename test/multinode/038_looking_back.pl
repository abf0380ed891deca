# Topology: core c1, edges e1 and e2 side by side; the border of their areas is at longitude -122.35.
# Proves: decisions are kept where they were made, changes alone; hits are counted with how early their copy was, copies by table, and every
# node knows them of all nodes, by hour, for two days; dry_run keeps what it would have decided and counts arrivals where it would have been
# right, while nothing is placed; what was counted outlives a clean stop, and most of it a kill; nothing is kept when the log is off.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ]);
$f->sql('c1', q{CREATE TABLE item (client text, id int, words text, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT c, i, repeat('w', 1000) FROM unnest('{a,b,d,o}'::text[]) c, generate_series(1, 3) i});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '4', "$_ knows the clients") for 'e1', 'e2';

# A minute and a half on e1 eastward at 30 m/s, a report a second, up to 200 m before the border, 20 s ago.
sub drive {
	my ($client) = @_;
	return is($f->sql('e1', qq{SELECT vectorshard.report(array_agg('$client'::text), array_agg(-122.3523 - 0.00034 * (90 - i)),
		array_agg(37.70::float8), NULL, NULL, array_agg(now() - (110 - i) * interval '1 s')) FROM generate_series(0, 90) i}), '91', "$client drives");
}
sub arrive {
	my ($node, $client, $lon, $ago_s) = @_;
	return is($f->sql($node, "SELECT vectorshard.report('$client', ST_SetSRID(ST_MakePoint($lon, 37.70), 4326), "
		  . "observed_at => now() - interval '$ago_s s')"), 't', "$client reports at $lon");
}
sub residents { return "SELECT count(*) FROM vectorshard.resident WHERE client = '$_[0]'"; }
sub decided { return "SELECT string_agg(decision || ' ' || node, ' ' ORDER BY at, node) FROM vectorshard.decisions('$_[0]')"; }

drive('a');
$f->poll('e2', residents('a'), '1', 'it is where it will be');
$f->poll('e1', decided('a'), 'wish e1 wish e2', 'what was decided');
arrive('e1', 'a', -122.3512, 15);
arrive('e2', 'a', -122.3490, 8);
$f->poll('e2', q{SELECT arrivals, hits, lead_p50_s > 0 FROM vectorshard.placement_quality}, '1|1|t', 'a hit, and how early');
$f->poll('e2', q{SELECT count(*) FROM vectorshard.decisions('a') WHERE node = 'e2' AND reason = 'serves the client'}, '1', 'the new planner says that it serves it');
$f->poll('e1', q{SELECT decision || ' ' || node || ' ' || reason FROM vectorshard.decisions('a') LIMIT 1}, 'end e2 served elsewhere', 'the old one what it ended');
is($f->sql('e2', q{SELECT rows_copied, bytes_copied > 3000 FROM vectorshard.placement_quality_tables WHERE node = 'e2' AND table_name = 'public.item'}), '3|t',
	'what the copy brought, by table');
is($f->sql('e2', q{SELECT sum(arrivals), sum(hits), sum(copies) FROM vectorshard.placement_quality_hourly WHERE node = 'e2'}), '1|1|1', 'this hour has it all');

# Dry run everywhere: nothing moves, but it is told whether it would have been right.
for my $n ('c1', 'e1', 'e2') {
	$f->node($n)->append_conf('postgresql.conf', "vectorshard.placement_mode = dry_run\nvectorshard.copy_time_s = 0");  # a copy would be there at once
	$f->node($n)->restart;
}
is($f->sql('e2', q{SELECT arrivals FROM vectorshard.placement_quality}), '0', 'a clean stop: since the start nothing came');
is($f->sql('e2', q{SELECT sum(arrivals), sum(hits), max(lead_p50_s) > 0 FROM vectorshard.placement_quality_hourly WHERE node = 'e2'}), '1|1|t', 'but the hours have it');
is($f->sql('e2', q{SELECT sum(rows_copied) FROM vectorshard.placement_quality_tables WHERE node = 'e2' AND table_name = 'public.item'}), '3', 'and the tables');
# A stop writes the books, so the others hear of them at once, with what each of them counts, and all of it together.
$f->poll('e1', q{SELECT coalesce(node, 'all'), sum(arrivals), sum(hits), bool_or(lead_p50_s > 0) FROM vectorshard.placement_quality_hourly
	WHERE arrivals > 0 GROUP BY 1 ORDER BY 1}, "all|1|1|t\ne2|1|1|t", 'another node knows of the hours of all');
$f->poll('c1', q{SELECT string_agg(concat_ws(' ', coalesce(node, 'all'), rows_copied, bytes_copied > 3000), ', ' ORDER BY node)
	FROM vectorshard.placement_quality_tables WHERE table_name = 'public.item'}, 'e1 3 t, e2 3 t, all 6 t', 'and of the tables');
is($f->sql($_, q{SELECT count(*) = count(DISTINCT (node, hour)) FROM vectorshard.quality}), 't', "a row a node and hour on $_") for 'c1', 'e1', 'e2';
$f->poll($_, 'SELECT bool_and(connected) FROM vectorshard.ship_peers()', 't', "$_ reaches the others") for 'c1', 'e1', 'e2';
drive('d');
$f->poll('e1', decided('d'), 'wish e1 wish e2', 'what would be decided');
is($f->sql('e1', q{SELECT bool_and(dry_run) FROM vectorshard.decisions('d')}), 't', 'is marked');
arrive('e1', 'd', -122.3512, 15);
arrive('e2', 'd', -122.3490, 8);
$f->poll('e1', q{SELECT dry_run_arrivals, dry_run_hits FROM vectorshard.placement_quality}, '1|1', 'it would have been there');
is($f->sql('e2', q{SELECT arrivals, hits FROM vectorshard.placement_quality}), '1|0', 'it was not');
is($f->sql($_, residents('d')), '0', "nothing on $_") for 'e1', 'e2';
is($f->sql('e2', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'd' AND until > now()}), '0', 'no wish is in force');
is($f->sql('e1', q{SELECT reason FROM vectorshard.explain_placement('d') WHERE decision = 'not planned here'}), 'node e2 serves the client, and plans for it',
	'who serves it is known all the same');
arrive('e2', 'b', -122.3400, 90);
$f->poll('e2', decided('b'), 'wish e2', 'another client');
arrive('e1', 'b', -122.3600, 2);
$f->poll('e2', q{SELECT dry_run_arrivals, dry_run_hits FROM vectorshard.placement_quality}, '1|0', 'that nobody would have foreseen');
$f->poll('e1', q{SELECT sum(dry_run_arrivals), sum(dry_run_hits) FROM vectorshard.placement_quality_hourly WHERE node = 'e1'}, '1|1', 'the hour has what dry_run counted');

# Hours are kept for two days; what is older goes everywhere, each node on its own, and leaves nothing behind.
$f->sql($_, q{INSERT INTO vectorshard.quality (node, hour, arrivals, hits, copies, wasted, wishes, dry_arrivals, dry_hits, leads, held_s, surplus_s, _version)
	SELECT vectorshard.self_node(), date_trunc('hour', now(), 'UTC') - h * interval '1 hour', 4, 3, 0, 0, 0, 0, 0, '{}', 0, 0, 0 FROM unnest('{49,47}'::int[]) h}) for 'e1', 'e2';
$f->poll($_, q{SELECT string_agg(coalesce(node, 'all') || ' ' || arrivals || ' ' || hit_ratio, ', ' ORDER BY node)
	FROM vectorshard.placement_quality_hourly WHERE hour < now() - interval '46 hours'}, 'e1 4 0.75, e2 4 0.75, all 8 0.75', "hours of two days ago on $_, and no older") for 'c1', 'e1', 'e2';
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.tombstone WHERE table_name = 'vectorshard.quality'}), '0', 'nothing is left of them');
$f->add_server('e3');
$f->join('e3');
is($f->sql('e3', q{SELECT string_agg(coalesce(node, 'all') || ' ' || arrivals, ', ' ORDER BY node)
	FROM vectorshard.placement_quality_hourly WHERE hour < now() - interval '46 hours'}), 'e1 4, e2 4, all 8', 'a node that joins knows them too');

# Off.
$f->node('e1')->append_conf('postgresql.conf', "vectorshard.placement_mode = on\nvectorshard.decision_log_hours = 0");
$f->node('e1')->restart;
drive('o');
$f->poll('e1', residents('o'), '1', 'placed again');
$f->poll('e1', 'SELECT count(*) FROM vectorshard.decision_log', '0', 'no decision is kept, and those that were are gone');

done_testing();
