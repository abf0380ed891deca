# Topology: one node. Table `cold` has two of its four partitions in a store, `hot` the same rows in heaps.
# Proves: whatever a segment computes itself (conditions, aggregates, groups, DISTINCT, first rows of an order) is what PostgreSQL computes: random
# queries give the same of both tables, in plain and prepared statements, in parallel and not; what is pushed is seen in EXPLAIN; zones prune.
# SEED and QUERIES of the environment repeat or lengthen a run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;
use TierOracle;

my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\n");
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
TierOracle::tables($f);
# The table changes after the move.
sql("ALTER TABLE $_ ADD COLUMN z int DEFAULT 7; ALTER TABLE $_ RENAME COLUMN o TO h; ALTER TABLE $_ DROP COLUMN g") for 'cold', 'hot';
sql(qq{INSERT INTO $_ (id, day, z, h) SELECT 100000 + k, '2029-01-01', k % 5, 'new ' || k FROM generate_series(1, 100) k}) for 'cold', 'hot';

sub explained { my ($sql) = @_; return sql("EXPLAIN (VERBOSE, COSTS OFF) $sql"); }
like(explained(q{SELECT * FROM cold_1 WHERE id = 5 AND t = 'x' AND lower(v) = 'y'}), qr/Segment Query: SELECT .*WHERE \("id" = '5'::BIGINT\) AND \("t" = 'x'\)$/m, 'conditions are asked of the segment, but not what it cannot know');
unlike(explained(q{SELECT id FROM cold_1 WHERE s = 1}), qr/Segment Query: .*"t"/, 'and columns that are needed');
like(explained('SELECT count(*), sum(n) FROM cold WHERE s < 4'), qr/Segment Query: SELECT count\(\*\), count\("n"\), sum\("n"\) FROM .*Segment Query: /s, 'aggregates are made there');
like(explained('SELECT count(*), sum(n) FROM cold_1 WHERE id BETWEEN 100 AND 200'), qr/Segment Query: SELECT count\(\*\), /, 'of few rows, too');
like(explained('SELECT s, avg(i) FROM cold GROUP BY s'), qr/Segment Query: SELECT "s", .* GROUP BY 1/, 'groups too');
like(explained('SELECT DISTINCT c FROM cold'), qr/Segment Query: SELECT DISTINCT "c"/, 'and DISTINCT');
like(explained('SELECT id FROM cold ORDER BY id DESC LIMIT 3'), qr/Segment Query: SELECT .* ORDER BY "id" DESC NULLS FIRST LIMIT 3/, 'and the first of an order');
unlike(explained('SELECT sum(f) FROM cold'), qr/sum\("f"\)/, 'no sum of floats, whose order counts');
unlike(explained('SELECT min(t) FROM cold'), qr/min\("t"\)/, 'no order of text but that of C');
unlike(explained('SELECT sum(x) FROM cold_2'), qr/sum\("x"\)/, 'no sum where a NaN is');
unlike(explained('SELECT * FROM cold WHERE id < -1'), qr/Foreign Scan/, 'zones prune partitions when the query is planned');
unlike(explained(q{SELECT * FROM cold WHERE c < 'Z' AND id < 70000}), qr/Foreign/, 'by numbers and text');
sql(q{SET plan_cache_mode = force_generic_plan; PREPARE none(int8) AS SELECT count(*) FROM cold_1 WHERE id = $1; EXECUTE none(-5)});
like(sql(q{SET plan_cache_mode = force_generic_plan; PREPARE none(int8) AS SELECT s FROM cold_1 WHERE id = $1; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE none(-5)}), qr/rows=0 .*Segments Read: 1/s, 'and when parameters are known');
like(sql(q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(f) FROM cold_1 WHERE f > -1 OR f IS NULL AND s + 1 > 0}),
	qr/Parallel Foreign Scan/, 'workers share a scan');

# How values are laid out: decimals of every scale, signs, leading and trailing zeros; text of every length around the sizes of headers; with nulls and without.
{
	my $decimals = join ', ', map { "n$_ numeric(18,$_) NOT NULL" } 0 .. 18;
	my $values = join ', ', map { "(CASE k % 4 WHEN 0 THEN -1 ELSE 1 END * (CASE k % 19 WHEN 18 THEN 999999999999999999 ELSE (10::numeric ^ (k % 19)) * (1 + k / 19 % 9) END)) * 0.1::numeric ^ $_" } 0 .. 18;
	for my $table ('laid', 'kept') {
		sql("CREATE TABLE $table (k int NOT NULL, t text NOT NULL, u text, b bytea, $decimals) PARTITION BY RANGE (k)");
		sql("CREATE TABLE ${table}_1 PARTITION OF $table FOR VALUES FROM (0) TO (1000)");
		sql(qq{INSERT INTO $table SELECT k, repeat(chr(65 + k % 26), k), CASE WHEN k % 3 > 0 THEN repeat('é', k / 2) || k END, CASE WHEN k % 5 > 0 THEN decode(repeat('00ff', k), 'hex') END, $values FROM generate_series(0, 189) k});
	}
	my $laid = sql(q{SELECT vectorshard.move_to_cold('laid_1'::regclass, grace => '0 s')});
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $laid", 'done', 'values of every size are in the store');
	my $bytes = join " || ", map { "numeric_send(n$_)" } 0 .. 18;
	my $each = "SELECT k || ' ' || md5(textsend(t) || coalesce(textsend(u), 'null') || coalesce(b, 'null') || $bytes) FROM %s ORDER BY k";
	is(sql(sprintf $each, 'laid'), sql(sprintf $each, 'kept'), 'and are the same from there');
	is(sql('SELECT count(*) FROM laid JOIN kept USING (k) WHERE laid.t = kept.t AND laid.u IS NOT DISTINCT FROM kept.u AND laid.b IS NOT DISTINCT FROM kept.b AND laid.n7 = kept.n7'), 190, 'and compare as equal');
}

# Floats that are equal though their bytes are not: zeros, and what is no number. Few values, so that the file has bloom filters.
for my $table ('odd_cold', 'odd_hot') {
	sql(qq{CREATE TABLE $table (id int, zero float8, minus float8, none float8, narrow real, day date) PARTITION BY RANGE (day); CREATE TABLE ${table}_1 PARTITION OF $table FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
		INSERT INTO $table SELECT k, k % 3, CASE k % 3 WHEN 0 THEN '-0' ELSE k % 3 END, CASE k % 3 WHEN 0 THEN 'Infinity'::float8 * 0 ELSE k % 3 END, CASE k % 3 WHEN 0 THEN '-0' ELSE k % 3 END, '2020-02-02' FROM generate_series(1, 30000) k});
}
my $odd = sql(q{SELECT vectorshard.move_to_cold('odd_cold_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $odd", 'done', 'zeros in the store');
for my $column ('zero', 'minus', 'none', 'narrow') {
	for my $condition (map { ("$column = $_", "$column IN ($_, 7)", "$column <> $_", "$column >= $_ AND $column <= $_") } q{'0'}, q{'-0'}, q{'NaN'}) {
		my ($cold, $hot) = map { sql("SELECT count(*), coalesce(sum(id), 0) FROM odd_$_ WHERE $condition") } 'cold', 'hot';
		is($cold, $hot, $condition);
	}
}

# Times cut off to units: the same moments, before 1970 and 2000 too, on both sides of every border.
for my $table ('old', 'new') {
	sql("CREATE TABLE $table (id int, at timestamp, tz timestamptz, odd timestamp, day date NOT NULL) PARTITION BY RANGE (day)");
	sql("CREATE TABLE ${table}_1 PARTITION OF $table FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')");
	sql("CREATE TABLE ${table}_2 PARTITION OF $table FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')");
	sql(qq{INSERT INTO $table SELECT k, CASE WHEN k % 50 <> 3 THEN at END, at AT TIME ZONE 'UTC', CASE k % 900 WHEN 1 THEN 'infinity' ELSE at END, date '2020-01-01' + (k % 500)::int FROM (
		SELECT row_number() OVER () AS k, b + (n - 3) * interval '1 us' + m * interval '29 minutes 59.5 s' AS at
		FROM unnest('{0001-01-01 01:00,0004-02-29,0100-02-28,0399-12-31,1582-10-15,1600-02-29,1752-09-14,1899-12-31,1900-03-01,1969-12-28,1969-12-31,1970-01-01,1970-01-05,1999-12-31,2000-01-01,2000-02-29,2004-12-27,2005-01-02,
			2008-12-29,2010-01-03,2012-12-31,2016-12-31,2020-12-28,2021-01-03,2021-01-04,2024-02-29,2100-02-28,9999-12-30}'::timestamp[]) b, generate_series(0, 6) n, generate_series(0, 25) m) t});
}
my $to = sql(q{SELECT vectorshard.move_to_cold('new_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $to", 'done', 'times are in the store');
for my $cut ((map { "date_trunc('$_', at)" } qw(second minute hour day week month quarter year)), 'at::date') {
	like(explained("SELECT $cut, count(*) FROM new GROUP BY 1"), qr/Segment Query: SELECT (date_trunc\('\w+', "at"\)::TIMESTAMP|"at"::DATE), count\(\*\) FROM .* GROUP BY 1$/m, "$cut is cut off there");
	for my $query ("SELECT $cut, count(*), max(id), sum(id) FROM %T GROUP BY 1", "SELECT DISTINCT $cut FROM %T WHERE id % 7 <> 2") {
		my %md5 = map { my $of = $query =~ s/%T/$_/r; $_ => sql(qq{SET TimeZone = 'Asia/Kathmandu'; SELECT count(*) || md5(string_agg(q::text, '|' ORDER BY q::text COLLATE "C")) FROM ($of) q}) } 'old', 'new';
		is($md5{new}, $md5{old}, $query);
	}
}
for my $not ("date_trunc('day', tz)", "date_trunc('day', odd)", 'odd::date', "date_trunc('century', at)", "date_trunc('DAY', at)", 'tz::date', "date_trunc('month', day)") {
	unlike(explained("SELECT $not, count(*) FROM new GROUP BY 1"), qr/Segment Query: [^\n]*GROUP BY/, "$not is not");
}

my $queries = $ENV{QUERIES} // 250;
my $seed = $ENV{SEED} // int(rand 1_000_000);
note "SEED=$seed";
my $oracle = TierOracle->new($seed);
my @kinds = (
	'RESET ALL', 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0', 'SET enable_hashagg = off', 'SET enable_sort = off; SET max_parallel_workers_per_gather = 0', 'SET TimeZone = \'Asia/Kathmandu\'; SET DateStyle = \'German\'');
$oracle->compare($f, $queries, @kinds);
done_testing();
