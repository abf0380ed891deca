# What operators do with tiers: passes over the policies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.placement_mode = off\n");
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
sub state_of { my ($move) = @_; return "SELECT state FROM vectorshard.tier_moves WHERE move = $move"; }

# A table with partitions of the years from 2015 on, each with some rows.
sub make_table {
	my ($name, $years, $rows) = @_;
	$f->sql('c1', "CREATE TABLE $name (id int NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at)");
	for my $year (2015 .. 2014 + $years) {
		$f->sql('c1', "CREATE TABLE ${name}_$year PARTITION OF $name FOR VALUES FROM ('$year-01-01') TO ('" . ($year + 1) . "-01-01');
			INSERT INTO $name SELECT i, date '$year-01-01' + i % 365, repeat(md5(i::text), 4) FROM generate_series(1, $rows) i");
	}
	return;
}
sub hash { my ($table) = @_; return $f->sql('c1', "SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY e::text)) FROM $table e"); }

# The worker looks every minute; an operator does not wait for that.
make_table('event', 3, 500);
my $truth = hash('event');
$f->sql('c1', q{SELECT vectorshard.add_tier_policy('event', interval '1 year', 'cold')});
is($f->sql('c1', q{SELECT table_name, store, due, moved, last_run FROM vectorshard.tier_policies}), 'public.event|cold|3|0|', 'a new policy');
is($f->sql('c1', q{SELECT kind, subject, rows, heap_bytes > segment_bytes, refused, month_after FROM vectorshard.expected_moves()}),
	join("\n", map { "partition|public.event_$_|500|t||" } 2015 .. 2017), 'a dry run');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.tier_moves}), '0', 'moves nothing');
my $planned = $f->sql('c1', q{SELECT kind, subject, store FROM vectorshard.run_tiering()});
is($planned, join("\n", map { "partition|public.event_$_|cold" } 2015 .. 2017), 'a pass plans what is due');
$f->poll('c1', q{SELECT due, moving, moved, rows, bytes > 0, last_run IS NOT NULL, last_error FROM vectorshard.tier_policies}, '0|0|3|1500|t|t|', 'and it is moved');
is(hash('event'), $truth, 'the rows are the same');

# Clients, and a pass that waits.
$f->sql('c1', q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'car' || c, i, md5(c || '/' || i) FROM generate_series(1, 6) c, generate_series(1, 50) i;
	SELECT vectorshard.add_tier_policy(NULL, interval '1 ms', 'cold');
});
is($f->sql('c1', q{SELECT kind, count(*), sum(rows) FROM vectorshard.expected_moves() GROUP BY 1}), 'client|6|300', 'a dry run over clients');
is($f->sql('c1', 'CALL vectorshard.run_tiering_and_wait()'), '1|1|0', 'a pass that waits for clients');
is($f->sql('c1', q{SELECT count(DISTINCT client) FROM vectorshard.cold_client}), '6', 'all idle clients went');
is($f->sql('c1', q{SELECT due, moved, rows FROM vectorshard.tier_policies WHERE table_name = ''}), '6|1|300', 'their policy tells');
$f->sql('c1', q{SELECT vectorshard.remove_tier_policy(NULL)});

# Moves that are forgotten still count.
$f->sql('c1', q{UPDATE vectorshard.tier_move SET state = 'done', changed_at = now() - interval '8 days' WHERE detail ->> 'policy' = 'public.event'; SELECT vectorshard.retire_segments()});
is($f->sql('c1', q{SELECT moved, rows, bytes > 0 FROM vectorshard.tier_policies WHERE table_name = 'public.event'}), '3|1500|t', 'moves of long ago count');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.tier_moves WHERE subject LIKE 'public.event%'}), '0', 'though they are forgotten');

# One policy whose table is gone stops no other.
make_table('gone', 1, 10);
make_table('later', 1, 10);
$f->sql('c1', qq{SELECT vectorshard.add_tier_policy('$_', interval '1 year', 'cold')}) for 'gone', 'later';
$f->sql('c1', q{DROP TABLE gone});
is($f->sql('c1', 'CALL vectorshard.run_tiering_and_wait()'), '1|1|0', 'the other policy is carried out');
like($f->sql('c1', q{SELECT due, last_error FROM vectorshard.tier_policies WHERE table_name = 'public.gone'}), qr/^\|table public\.gone of a policy does not exist$/, 'and this one says why it is not');
$f->sql('c1', q{DELETE FROM vectorshard.tier_policy});

# A move that fails is told.
make_table('empty', 1, 0);
$f->sql('c1', q{SELECT vectorshard.add_tier_policy('empty', interval '1 year', 'cold')});
my ($rc, $out, $err) = $f->node('c1')->psql('postgres', 'CALL vectorshard.run_tiering_and_wait()');
is($out, '1|0|1', 'a move that fails counts as such');
like($err, qr/WARNING: +move \d+ of public.empty_2015 failed: .*no rows/, 'with a warning');
like($f->sql('c1', q{SELECT last_error FROM vectorshard.tier_policies}), qr/^public.empty_2015: .*no rows/, 'and in its policy');
like($f->error_of('c1', q{BEGIN; CALL vectorshard.run_tiering_and_wait()}), qr/2D000/, 'not within a transaction');

# How far a move is, while it is at it, slowed down so that it can be looked at. At a MB a second, a partition of so many MB takes as many seconds
# at least, to be read and to be stored: that it takes longer on a slow machine is of no interest.
sub set_to {
	my ($name, $value) = @_;
	$f->sql('c1', "ALTER SYSTEM SET vectorshard.$name = $value");
	$f->sql('c1', 'SELECT pg_reload_conf()');
	return $f->poll_until('c1', "SELECT setting FROM pg_settings WHERE name = 'vectorshard.$name'", $value);
}
sub took { my ($move, $state) = @_; return $f->sql('c1', "SELECT took ->> '$state' FROM vectorshard.tier_moves WHERE move = $move"); }
make_table('slow', 4, 8000);
$f->sql('c1', 'VACUUM ANALYZE slow');
$truth = hash('slow');
my $heap_mb = $f->sql('c1', q{SELECT pg_table_size('slow_2015') / 1048576.0});
set_to('tier_rate_mb_s', 0.5);
my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('slow_2015'::regclass)});
my $seen = "FROM vectorshard.tier_moves WHERE move = $move";
$f->poll('c1', "SELECT phase = 'writing' AND rows BETWEEN 1 AND 7999 AND rows_expected BETWEEN 7000 AND 9000 AND bytes_expected > 0 AND time_left > '0 s' $seen", 't', 'a move that writes tells how far it is');
my $first = $f->sql('c1', "SELECT rows $seen");
$f->poll('c1', "SELECT rows > $first $seen", 't', 'it goes on');
$f->poll('c1', "SELECT phase = 'storing' AND rows = 8000 AND bytes_expected > 0 $seen", 't', 'then it stores');
$f->poll('c1', state_of($move), 'grace', 'and ends');
my $object_mb = $f->sql('c1', "SELECT bytes / 1048576.0 $seen");
cmp_ok(took($move, 'exported'), '>=', 0.9 * ($heap_mb + $object_mb) / 0.5, 'writing and storing take what the rate makes of their bytes');
is($f->sql('c1', "SELECT phase IS NULL AND rows = rows_expected AND bytes = bytes_expected AND time_left IS NULL $seen"), 't', 'an ended move has all');
is(hash('slow'), $truth, 'a query reads at any rate');
$move = $f->sql('c1', q{SELECT vectorshard.move_to_hot('slow_2015'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT phase = 'loading' AND rows > 0 AND rows_expected = 8000 AND time_left IS NOT NULL FROM vectorshard.tier_moves WHERE move = $move", 't', 'bringing back tells, too');
$f->poll('c1', state_of($move), 'done', 'and ends');
cmp_ok(took($move, 'loaded'), '>=', 0.9 * $object_mb / 0.5, 'and is slowed down');

# A pause in the middle of a step: the IO stops, writers are let in, and what they write goes along later.
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('slow_2016'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT phase = 'writing' AND rows > 0 FROM vectorshard.tier_moves WHERE move = $move", 't', 'a move writes');
like($f->error_of('c1', q{INSERT INTO slow VALUES (1, '2016-02-02', 'no')}), qr/55006/, 'writes are refused meanwhile');
set_to('tiering', 'off');
$f->poll('c1', state_of($move), 'planned', 'paused, it is taken back at once');
is($f->sql('c1', q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zz_vectorshard_moving%' AND tgrelid = 'slow_2016'::regclass}), '0', 'without a fence');
$f->sql('c1', q{INSERT INTO slow VALUES (1, '2016-02-02', 'while it is paused')});
like($f->error_of('c1', q{SELECT vectorshard.run_tiering()}), qr/55000: tiering is paused.*HINT/s, 'no pass is made');
my $other = $f->sql('c1', q{SELECT vectorshard.move_to_cold('slow_2017'::regclass)});
$truth = hash('slow');
set_to('tier_rate_mb_s', 0);
is($f->sql('c1', state_of($other)) . $f->sql('c1', state_of($move)), 'plannedplanned', 'nothing begins');
set_to('tiering', 'on');
$f->poll('c1', state_of($move), 'done', 'resumed, it goes');
$f->poll('c1', state_of($other), 'grace', 'and so does what was asked for meanwhile');
is(hash('slow'), $truth, 'with the row of the pause');
is($f->sql('c1', q{SELECT count(*) FROM slow_2016}), '8001', 'which lies in the store');

# A policy that is paused, while its move waits for a writer.
my $writer = $f->node('c1')->background_psql('postgres');
$writer->query_safe(q{BEGIN; INSERT INTO slow VALUES (2, '2018-02-02', 'open')});
$f->sql('c1', q{SELECT vectorshard.add_tier_policy('slow', interval '1 year', 'cold')});
like($f->sql('c1', q{SELECT subject FROM vectorshard.run_tiering()}), qr/slow_2018/, 'the policy plans the last one');
my $of_policy = q{FROM vectorshard.tier_moves WHERE subject = 'public.slow_2018'};
$f->poll('c1', "SELECT errors > 0 $of_policy", 't', 'which waits');
$f->sql('c1', q{SELECT vectorshard.pause_tier_policy('slow')});
$writer->query_safe('COMMIT');
$f->sql('c1', q{CREATE TABLE slow_2019 PARTITION OF slow FOR VALUES FROM ('2019-01-01') TO ('2020-01-01'); INSERT INTO slow VALUES (3, '2019-02-02', 'x')});
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.run_tiering()}), '0', 'a policy that is paused plans nothing');
is($f->sql('c1', "SELECT state, policy $of_policy"), 'planned|public.slow', 'and its move does not begin');
is($f->sql('c1', q{SELECT due, paused FROM vectorshard.tier_policies WHERE table_name = 'public.slow'}), '1|t', 'it tells what is due all the same');
$f->sql('c1', q{SELECT vectorshard.resume_tier_policy('slow')});
$f->poll('c1', "SELECT state $of_policy", 'grace', 'resumed, it goes');
$writer->quit;

done_testing();
