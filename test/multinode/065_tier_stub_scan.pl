# Topology: one node. Table `cold` has a primary key and two of its four partitions in a store, as stubs; `hot` has the same rows in heaps.
# Proves: random queries give the same of both tables, of which one has keys and indexes, with generic plans, in parallel, in joins, with row locks.
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
TierOracle::tables($f, key => ', PRIMARY KEY (id, day)', indexes => 'CREATE INDEX ON %T (s); CREATE INDEX ON %T (c, id)', where => 'k % 4 = 0');
sql("ALTER TABLE $_ ADD COLUMN z int; ALTER TABLE $_ RENAME COLUMN o TO h; ALTER TABLE $_ DROP COLUMN g") for 'cold', 'hot';

my $queries = $ENV{QUERIES} // 50;
my $seed = $ENV{SEED} // int(rand 1_000_000);
note "SEED=$seed";
my $oracle = TierOracle->new($seed);
my @kinds = ('RESET ALL', 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0', 'SET enable_hashagg = off; SET enable_partitionwise_aggregate = on',
	'SET plan_cache_mode = force_generic_plan', 'SET enable_sort = off; SET enable_seqscan = off', q{SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'});
$oracle->compare($f, $queries, @kinds);

# Joins by index of the heap and by hash, subqueries for each row, with conditions of each round; rows asked for their place.
for my $query ('SELECT a.id, b.t FROM %T a JOIN %T b ON b.id = a.id + 4 AND b.day = a.day WHERE a.s = 8 AND a.id < 30000', 'SELECT id, (SELECT count(*) FROM %T b WHERE b.s = a.s AND b.id < a.id) FROM %T a WHERE id BETWEEN 9000 AND 9040',
	'SELECT id FROM %T WHERE id IN (SELECT id FROM %T WHERE c = \'c20\') AND s > 3 FOR SHARE', 'SELECT x FROM (SELECT t AS x, tableoid FROM %T WHERE n > 50) q WHERE x > \'m\'', 'SELECT r FROM %T r WHERE id % 5000 = 0') {
	my %md5;
	for my $table ('cold', 'hot') {
		(my $of = $query) =~ s/%T/$table/g;
		$md5{$table} = sql(qq{SET enable_hashjoin = } . $oracle->one_of('on', 'off') . qq{; SELECT count(*) || md5(string_agg(q::text, '|' ORDER BY q::text COLLATE "C")) FROM ($of) q});
	}
	is($md5{cold}, $md5{hot}, $query);
}
# An error while rows are given inside of a function: what the scan has goes once, in whatever order memory goes.
for my $rows ('id, 1 / (id - 5000) FROM cold_1', 'id, 1 / (id - 5000) FROM cold_1 FOR SHARE') {
	sql(qq{CREATE OR REPLACE FUNCTION fails() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN PERFORM $rows; RETURN 1; END \$\$});
	my ($rc, $out, $err) = $f->node('c1')->psql('postgres', 'SELECT fails(); SELECT fails(); SELECT fails(); SELECT 1', on_error_stop => 0);
	is("$out " . (() = $err =~ /division by zero/g), '1 3', "an error in a function that reads: $rows");
}
done_testing();
