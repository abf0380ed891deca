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

done_testing();
