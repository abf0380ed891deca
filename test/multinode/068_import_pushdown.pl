# Topology: one node; Parquet files of others in a directory, in Swift and in Azurite.
# Proves: foreign tables over them answer as the same rows in a heap do, whatever of a query the files answer themselves; of a file elsewhere only the
# parts are fetched that are asked for, once for each version of it; a version that is replaced meanwhile is never mixed with the next one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use ParquetFiles;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.placement_mode = off\n");
my $store = PostgreSQL::Test::Utils::tempdir;
mkdir "$store/$_" or die "mkdir: $!" for 'kinds', 'up';
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sql("SELECT vectorshard.create_store('lake', 'file://$store'); CREATE SERVER lake TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw; CREATE SCHEMA ext");

# Files made by another writer of Parquet: the library by itself.
sub parquet { return write_parquet($store, @_); }
sub asked { my ($query) = @_; return sql("EXPLAIN (VERBOSE, COSTS OFF) $query") =~ /File Query: (.*)/ ? $1 : 'nothing'; }

# Each kind of column, in two files whose rows have values, nulls, and what is neither less nor greater.
my $values = q{SELECT range AS id, range % 3 = 0 AS yes, (range % 200 - 100)::TINYINT AS tiny, (range * 7 % 30000)::SMALLINT AS small, (range * 7919 % 100000)::INTEGER AS medium,
	range * 1000003 AS large, (range % 4000000)::UINTEGER AS no_sign, CASE range % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN '-0' ELSE (range % 977 / 8.0)::VARCHAR END::DOUBLE AS wide,
	(range % 31 / 4.0)::FLOAT AS narrow, (range % 9999 / 100.0)::DECIMAL(12,2) AS price, (range::DECIMAL(30,0) * 1000000007)::DECIMAL(30,4) AS fortune, CASE WHEN range % 7 <> 0 THEN 'w' || range % 100 END AS words,
	('x' || range % 10)::BLOB AS raw, CASE WHEN range % 11 <> 0 THEN DATE '2020-01-01' + (range % 800)::INTEGER END AS day, TIMESTAMP '2020-01-01' + to_seconds(range * 61) AS at,
	CASE range % 90 WHEN 0 THEN 'infinity' ELSE '2020-03-01 00:00:00+00' END::TIMESTAMPTZ + to_seconds(range) AS atz, TIME '00:00:00' + to_seconds(range % 86400) AS tod,
	md5((range % 500)::VARCHAR)::UUID AS key, [range % 3, NULL] AS list, {'a': range % 5, 'b': 'x'} AS both, range % 10 AS "Odd name", TIMESTAMP_NS '2020-01-01' AS ns};
parquet('kinds/a', "$values FROM range(0, 10000)", ', ROW_GROUP_SIZE 2048');
parquet('kinds/b', "$values FROM range(10000, 14000)", ', ROW_GROUP_SIZE 2048, COMPRESSION zstd');
sql(q{IMPORT FOREIGN SCHEMA kinds FROM SERVER lake INTO ext; CREATE TABLE heap AS SELECT * FROM ext.kinds; ANALYZE heap});
is(sql('SELECT count(*) FROM heap'), '14000', 'all rows');

# [condition, whether the files answer it]
my @conditions = (
	[ 'id = 12345', 1 ], [ 'id BETWEEN 9990 AND 10010', 1 ], [ 'id IN (1, 9999, 10000, 99999)', 1 ], [ 'yes AND NOT small < 5000', 1 ], [ 'tiny = -100', 1 ], [ 'medium > 99900 OR medium < 50', 1 ],
	[ 'no_sign >= 13990', 1 ], [ "wide > 122", 1 ], [ "wide = 'NaN'", 1 ], [ 'wide = 0', 1 ], [ 'wide < 0', 1 ], [ 'narrow <= 0.25', 1 ], [ 'price = 12.34', 1 ], [ 'price > 99.9', 1 ], [ 'price = 12.345', 1 ],
	[ 'fortune > 13000000000000', 0 ], [ "words = 'w42'", 1 ], [ "words LIKE 'w9%'", 1 ], [ 'words IS NULL', 1 ], [ 'words IS NOT NULL AND id < 20', 1 ], [ q{words < 'w2' COLLATE "C"}, 1 ],
	[ "raw = 'x3'", 0 ], [ "day = '2020-02-29'", 1 ], [ "day > '2022-03-01' OR day IS NULL", 1 ], [ "at >= '2020-01-09 12:00'", 1 ], [ "atz = 'infinity'", 1 ], [ "atz < '2020-03-01 00:10+00'", 1 ],
	[ "tod < '00:01'", 0 ], [ "key = md5('7')::uuid", 1 ], [ "list = '[1, null]'", 0 ], [ 'list IS NULL', 1 ], [ '"Odd name" = 4 AND id < 100', 1 ], [ "ns IS NOT NULL AND id = 3", 1 ], [ 'length(words) = 2', 0 ] );
my ($wrong, $elsewhere) = ('', '');
for (@conditions) {
	my ($condition, $there) = @$_;
	my ($mine, $theirs) = map { sql("SET TimeZone = 'UTC'; SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY id)) FROM $_ t WHERE $condition") } 'ext.kinds', 'heap';
	$wrong .= "$condition: $mine, $theirs\n" if $mine ne $theirs;
	$elsewhere .= "$condition: " . asked("SELECT id FROM ext.kinds WHERE $condition") . "\n" if $there != (asked("SELECT id FROM ext.kinds WHERE $condition") =~ / WHERE |^nothing$/ ? 1 : 0);
}
is($wrong, '', scalar(@conditions) . ' conditions find the rows that they find in a heap');
is($elsewhere, '', 'and files are asked those that mean the same there');
is(asked('SELECT small, words FROM ext.kinds WHERE id = 5'), q{SELECT "id", "small", "words" FROM read_parquet('file') WHERE ("id" = '5'::BIGINT)}, 'for the columns that are needed');

my @computed = ('count(*), count(words), count(day)', 'sum(small), sum(medium), avg(medium), sum(large), avg(large)', 'min(id), max(wide), min(wide), max(narrow)', 'sum(price), avg(price), min(price), max(price)',
	'min(day), max(day), min(at), max(atz)', 'bool_and(yes), bool_or(yes)', q{min(words COLLATE "C"), max(words COLLATE "C")}, 'count(*) FILTER (WHERE yes), sum(small) FILTER (WHERE medium > 50000)',
	'sum(wide) > 0, count(DISTINCT words), sum(fortune)', 'sum(no_sign), sum(tiny)', 'min(tod), max(fortune)', 'count(list), count(key)');
$wrong = '';
for my $list (@computed) {
	for my $rest ('', ' WHERE id >= 9000', ' WHERE id < 0', ' GROUP BY yes ORDER BY yes', ' WHERE price > 10 GROUP BY words ORDER BY words', ' GROUP BY day ORDER BY day', ' GROUP BY key ORDER BY key') {
		my ($mine, $theirs) = map { sql("SET TimeZone = 'UTC'; SELECT $list FROM $_$rest") } 'ext.kinds', 'heap';
		$wrong .= "$list$rest: $mine\n$theirs\n" if $mine ne $theirs;
	}
}
is($wrong, '', 'aggregates are those of a heap');
is(asked('SELECT yes, count(*), sum(price) FROM ext.kinds WHERE id < 12000 GROUP BY yes'), q{SELECT "yes", count(*), count("price"), sum("price") FROM read_parquet('file') WHERE ("id" < '12000'::BIGINT) GROUP BY 1}, 'which the files compute');
for my $query ('SELECT DISTINCT words FROM %s ORDER BY words', 'SELECT id, wide FROM %s ORDER BY wide DESC, id LIMIT 7', 'SELECT id FROM %s WHERE yes ORDER BY day NULLS FIRST, id DESC LIMIT 20 OFFSET 3', 'SELECT a.id FROM %1$s a JOIN %1$s b ON a.medium = b.small WHERE b.id < 50 ORDER BY 1', 'SELECT id FROM %s WHERE id = (SELECT max(id) FROM %1$s)') {
	is(sql(sprintf $query, 'ext.kinds'), sql(sprintf $query, 'heap'), sprintf $query, '…');
}
like(asked('SELECT id FROM ext.kinds ORDER BY large DESC LIMIT 5'), qr/ORDER BY "large" DESC NULLS FIRST LIMIT 5$/, 'the first rows are found there');
like(sql('EXPLAIN SELECT * FROM ext.kinds'), qr/rows=14000 .*\n.*Files: lake: kinds\/\*\.parquet/, 'the planner counts the rows in the footers');
is(sql(q{PREPARE one(int) AS SELECT words FROM ext.kinds WHERE id = $1; SET plan_cache_mode = force_generic_plan; EXECUTE one(13003)}), 'w3', 'a parameter');

# Names that tell no place in the file, and values that do not fit, as they were.
parquet('kinds/odd', q{SELECT range AS file_row_number, range + 1 AS "a, b", {'b': range} AS a FROM range(5000)}, ', ROW_GROUP_SIZE 2048');
sql('IMPORT FOREIGN SCHEMA kinds LIMIT TO (odd) FROM SERVER lake INTO ext');
is(sql(q{SELECT "a, b", a FROM ext.odd WHERE file_row_number = 4000}), '4001|{"b": 4000}', 'names that DuckDB has a meaning for');
sql(q{CREATE FOREIGN TABLE ext.byhand (id smallint, words uuid, price numeric(4,1)) SERVER lake OPTIONS (role 'parquet', file 'kinds/a.parquet')});
is(sql('SELECT count(*) FROM ext.byhand'), '10000', 'a table that says other types');
is(sql('SELECT price FROM ext.byhand WHERE id = 25'), '0.3', 'numbers are rounded as PostgreSQL does');
like($f->error_of('c1', 'SELECT words FROM ext.byhand'), qr/w1/, 'what does not fit is an error');
parquet('up/early', q{SELECT DATE '4713-01-01 (BC)' - 400 AS day, 1 AS x, 'a' || chr(0) AS nul});
sql(q{IMPORT FOREIGN SCHEMA up LIMIT TO (early) FROM SERVER lake INTO ext});
like($f->error_of('c1', 'SELECT day FROM ext.early'), qr/22008.*column "day".*DETAIL.*range of dates/s, 'and so is a day before all of PostgreSQL');
like($f->error_of('c1', 'SELECT min(day) FROM ext.early'), qr/22008.*range of dates/s, 'as the least one too');
like($f->error_of('c1', 'SELECT nul FROM ext.early'), qr/22021.*zero byte/s, 'and a zero byte');
is(sql('SELECT x FROM ext.early'), '1', 'of columns that are read');

# Elsewhere: in parts, by version.
sub fetched { my ($query) = @_; return sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $query") =~ /Fetched: (\d+) bytes/ ? $1 : 0; }
sub wide_file { my ($name, $add) = @_; return parquet("up/$name", "SELECT range AS id, md5(range::VARCHAR) AS words, [range, $add] AS list, range + $add AS n FROM range(200000)", ', ROW_GROUP_SIZE 20480'); }
my $big = wide_file('big', 0);
my $size = -s $big;
for my $kind (split ' ', $ENV{ONLY_STORES} // 'swift azurite') {
	my $s = ObjectStores->$kind(PostgreSQL::Test::Utils::tempdir());
	$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('$kind', '" . $s->url('') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER $kind OPTIONS (" . $s->options . '); CREATE SCHEMA ' . $kind);
	$s->upload('far/big.parquet', $big);
	sql("IMPORT FOREIGN SCHEMA far FROM SERVER $kind INTO $kind");
	like(sql("EXPLAIN SELECT * FROM $kind.big"), qr/rows=200000 .*\n.*Files: $kind: far\/big\.parquet/, "$kind: rows by the footer");
	my $part = fetched("SELECT n FROM $kind.big WHERE id = 123456");
	cmp_ok($part, '>', 0, 'a row is fetched');
	cmp_ok($part, '<', $size / 8, "$part of $size bytes");
	is(sql("SELECT n, list FROM $kind.big WHERE id = 123456"), '123456|[123456, 0]', 'and right, its nested column too');
	is(fetched("SELECT n FROM $kind.big WHERE id = 123456"), 0, 'another process has nothing to fetch');
	is(fetched("SELECT n FROM $kind.big WHERE id < 0"), 0, 'nor who asks for what is not there');
	my $sum = fetched("SELECT sum(n) FROM $kind.big");
	ok($sum > 0 && $sum < $size / 2, "a column is fetched alone: $sum bytes");
	is(sql("SELECT count(*), sum(n), count(list), min(words COLLATE \"C\") FROM $kind.big"), "200000|19999900000|200000|" . sql("SELECT min(md5(i::text) COLLATE \"C\") FROM generate_series(0, 199999) i"), 'all of it');
	# The same name, size and number of rows, other values.
	my $next = wide_file('next', 7);
	$s->upload('far/big.parquet', $next);
	is(sql("SELECT n FROM $kind.big WHERE id = 123456"), '123463', 'another version is read as it is');
	my $session = $f->node('c1')->background_psql('postgres', on_error_stop => 0);
	$s->upload('far/also.parquet', $big);
	$s->upload('far/big.parquet', wide_file('third', 9));    # of which nothing is here
	$session->query_safe("CREATE FOREIGN TABLE $kind.both (id bigint, n bigint) SERVER $kind OPTIONS (role 'parquet', folder 'far')");
	$session->query_safe("BEGIN; DECLARE c CURSOR FOR SELECT n FROM $kind.both; FETCH 1 FROM c");
	$s->upload('far/big.parquet', wide_file('longer', 11));
	$session->query('MOVE ALL FROM c');
	like($session->{stderr}, qr/object "far\/big\.parquet" has changed while it was read/, 'one that is replaced under a scan is an error');
	$session->quit;
	is(sql("SELECT count(*), max(n) FROM $kind.both"), '400000|200010', 'and the next one reads the new one');
	# The cleaner removes copies of what no segment is called by; these are no segments.
	my $copies = sub { return scalar(() = glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*.sparse.parquet'); };
	my $before = $copies->();
	cmp_ok($before, '>', 0, 'parts are kept here');
	my $nobodys = $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/' . 'e' x 64 . '.parquet';
	ObjectStores::write_file($nobodys, '');
	sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'});
	ok($f->wait_for(sub { return !-e $nobodys; }), 'a copy of nothing goes');
	is($copies->(), $before, 'they stay');
	$s->upload('far/odd.parquet', "$store/kinds/odd.parquet");
	sql("IMPORT FOREIGN SCHEMA far LIMIT TO (odd) FROM SERVER $kind INTO $kind");
	is(sql(qq{SELECT "a, b", a FROM $kind.odd WHERE file_row_number = 4000}), '4001|{"b": 4000}', 'a file whose names tell no place');
	$s->stop;
	like($f->error_of('c1', "SELECT n FROM $kind.big WHERE id = 1"), qr/big\.parquet/, 'a store that is gone is an error, whatever is here');
}

done_testing();
