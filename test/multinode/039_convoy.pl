# Topology: core c1 (the home of all), edges e1 and e2; the border between them is at longitude -122.35.
# Proves: where predicted routes converge the transfer is shared: 60 clients that drive from e1 to e2 in a convoy are all there before
# they arrive, by far fewer jobs than copies, over one connection, with all their rows.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.predictor = reach_set\nvectorshard.horizon_margin_s = 60\nvectorshard.check_rate = 0");
$f->sql('c1', q{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT 'k' || c, i FROM generate_series(1, 60) c, generate_series(1, 3) i});
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '60', "$_ knows the clients") for 'e1', 'e2';

$f->sql('e2', 'ALTER SYSTEM SET vectorshard.max_copies_per_node = 1');
$f->sql('e2', 'SELECT pg_reload_conf()');

# Half a minute eastward at 15 m/s on e1, 10 m apart; the first was 450 m before the border 5 s ago. Their gateway hands the reports over second by second.
my $metre = 1 / 88080;    # of longitude, at latitude 37.70
is($f->sql('e1', qq{SELECT sum(n) FROM (SELECT vectorshard.report(array_agg('k' || c), array_agg(-122.35 - $metre * (450 + 10 * c + 15 * (30 - s))),
		array_agg(37.70::float8), array_agg(15::float8), array_agg(90::float8), array_agg(now() - (35 - s) * interval '1 s')) AS n
	  FROM generate_series(1, 60) c, generate_series(0, 30) s GROUP BY s ORDER BY s) x}), '1860', 'a convoy drives');
# e2 has room for one until it knows that all are to come: how many share a job depends on how many are known, and not on how fast this machine plans them.
$f->poll('e2', q{SELECT count(DISTINCT client) FROM vectorshard.placements WHERE node = 'e2' AND wished_until > now()}, '60', 'all are wished to e2');
$f->sql('e2', 'ALTER SYSTEM RESET vectorshard.max_copies_per_node');
$f->sql('e2', 'SELECT pg_reload_conf()');
$f->poll('e2', 'SELECT count(*) FROM vectorshard.resident', '60', 'e2 has all of them before one has come', 25);
my ($jobs, $copies, $shared) = split /\|/, $f->sql('e2', q{SELECT sum(jobs), sum(copies), bool_and(copies_a_job = copies::float8 / jobs) FROM vectorshard.copy_jobs});
note("$copies copies by $jobs jobs");
cmp_ok($copies, '>=', 60, 'each came by a copy');
cmp_ok($jobs * 4, '<=', $copies, "which shared jobs ($copies by $jobs)");
is($shared, 't', 'the view reckons so');
is($f->sql('c1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vectorshard holder' AND query ~ 'copy_(announce|export)'}), '2', 'over one connection for each node that copies');

# They arrive.
$f->sql('e2', qq{SELECT vectorshard.report('k' || c, ST_SetSRID(ST_MakePoint(-122.35 + $metre * 40, 37.70), 4326)) FROM generate_series(1, 60) c});
$f->poll('e2', 'SELECT arrivals, hits FROM vectorshard.placement_quality', '60|60', 'every arrival finds its rows');
is($f->sql('e2', 'SELECT count(*), count(DISTINCT client) FROM ONLY item'), '180|60', 'all of them');
is($f->sql('c1', 'SELECT count(*), count(DISTINCT client) FROM ONLY item'), '180|60', 'and at the home');
done_testing();
