# Parquet files of others in a store become foreign tables: IMPORT FOREIGN SCHEMA. Each type comes as it is, or not at all; files that were replaced or
# added are read as they are now; whoever may not use the server reads nothing.
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
mkdir "$store/$_" or die "mkdir: $!" for 'others', 'sales', 'mixed', 'empty';
$f->sql('c1', "SELECT vectorshard.create_store('lake', 'file://$store')");
$f->sql('c1', q{CREATE SERVER lake TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw});

# Files made by another writer of Parquet: the library by itself, in Node.js.
my $made = 0;
sub parquet { write_parquet($store, @_); return ++$made; }
parquet('others/types', q{SELECT true AS "Flag", (-128)::TINYINT AS t, (-32768)::SMALLINT AS s, 2147483647::INTEGER AS i, 9223372036854775807::BIGINT AS b,
	255::UTINYINT AS ut, 65535::USMALLINT AS us, 4294967295::UINTEGER AS ui, 18446744073709551615::UBIGINT AS ub,
	1.5::FLOAT AS f, 0.1::DOUBLE AS d, 'NaN'::DOUBLE AS nan, 12345678901234567890.123456789::DECIMAL(38,9) AS dec, 'größe' AS words, '\x00\xff'::BLOB AS raw,
	DATE '0044-03-15' AS day, TIMESTAMP '2020-02-29 23:59:59.999999' AS at, TIMESTAMPTZ '2020-02-29 23:59:59.5+02' AS atz, TIME '23:59:59.000001' AS tod,
	'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID AS id, [1, 2, NULL] AS list, {'a': 1, 'b': 'x'} AS both, NULL::INTEGER AS nothing,
	TIMESTAMP_NS '2020-01-01 00:00:00.000001' AS ns});
parquet("sales/$_", "SELECT range + $_ * 10 AS id, 'w' || range AS words FROM range(10)") for 1 .. 3;
parquet('mixed/a', 'SELECT 1 AS x');
parquet('mixed/b', "SELECT 'y' AS y");
parquet('others/finer', q{SELECT TIMESTAMP_NS '2020-01-01 00:00:00.000000001' AS at});

$f->sql('c1', q{CREATE SCHEMA ext; IMPORT FOREIGN SCHEMA "others/" LIMIT TO (types) FROM SERVER lake INTO ext});
is($f->sql('c1', q{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'ext.types'::regclass AND attnum > 0}),
	'Flag boolean, t smallint, s smallint, i integer, b bigint, ut smallint, us integer, ui bigint, ub numeric(20,0), f real, d double precision, nan double precision, '
	  . 'dec numeric(38,9), words text, raw bytea, day date, at timestamp without time zone, atz timestamp with time zone, tod time without time zone, id uuid, list jsonb, both jsonb, '
	  . 'nothing integer, ns timestamp without time zone', 'each type has its own');
is($f->sql('c1', q{SET TimeZone = 'UTC'; SET DateStyle = ISO; SELECT * FROM ext.types}),
	't|-128|-32768|2147483647|9223372036854775807|255|65535|4294967295|18446744073709551615|1.5|0.1|NaN|12345678901234567890.123456789|größe|\x00ff|0044-03-15|2020-02-29 23:59:59.999999|'
	  . '2020-02-29 21:59:59.5+00|23:59:59.000001|f81d4fae-7dec-11d0-a765-00a0c91e6bf6|[1, 2, null]|{"a": 1, "b": "x"}||2020-01-01 00:00:00.000001', 'and the value that it had');
$f->sql('c1', q{IMPORT FOREIGN SCHEMA others LIMIT TO (finer) FROM SERVER lake INTO ext});
like($f->error_of('c1', 'SELECT * FROM ext.finer'), qr/parts of microseconds/, 'nanoseconds are not cut off');

# A folder of like files is one table, and read as it is now.
$f->sql('c1', q{IMPORT FOREIGN SCHEMA sales FROM SERVER lake INTO ext});
is($f->sql('c1', 'SELECT count(*), min(id), max(id) FROM ext.sales'), '30|10|39', 'like files are one table');
is($f->sql('c1', q{SELECT words FROM ext.sales WHERE id = 25}), 'w5', 'with conditions');
is($f->sql('c1', q{SELECT count(*) FROM ext.sales a JOIN ext.sales b ON a.id = b.id + 1}), '29', 'and joins');
is($f->sql('c1', q{SET force_parallel_mode = regress; SELECT count(*) FROM ext.sales}), '30', 'and in a worker');
like($f->error_of('c1', q{SELECT vectorshard.drop_store('lake')}), qr/55006.*Foreign tables read files in it: .*ext\.sales/s, 'the store stays while they are there');
parquet('sales/4', "SELECT range + 40 AS id, 'w' AS words FROM range(5)");
is($f->sql('c1', 'SELECT count(*) FROM ext.sales'), '35', 'a file that came later is read');
parquet('sales/4', "SELECT range + 40 AS id, 'w' AS words FROM range(7)");
is($f->sql('c1', 'SELECT count(*) FROM ext.sales'), '37', 'and one that was replaced');
$f->sql('c1', q{CREATE SCHEMA each; IMPORT FOREIGN SCHEMA sales FROM SERVER lake INTO each OPTIONS (per 'file')});
is($f->sql('c1', q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'each'::regnamespace}), '1 2 3 4', 'or each is one');
$f->sql('c1', q{IMPORT FOREIGN SCHEMA mixed FROM SERVER lake INTO ext});
is($f->sql('c1', 'SELECT x, y FROM ext.a, ext.b'), '1|y', 'files that differ are tables each');
like($f->error_of('c1', q{IMPORT FOREIGN SCHEMA mixed FROM SERVER lake INTO each OPTIONS (per 'folder')}), qr/different columns.*per 'file'/s, 'they are no table together');
like($f->error_of('c1', q{IMPORT FOREIGN SCHEMA empty FROM SERVER lake INTO each}), qr/no Parquet files in "empty"/, 'an empty folder');
like($f->error_of('c1', q{IMPORT FOREIGN SCHEMA sales FROM SERVER fabric INTO each}), qr/none of a store/, 'a server that is none of a store');
like($f->error_of('c1', q{IMPORT FOREIGN SCHEMA "../etc" FROM SERVER lake INTO each}), qr/ERROR/, 'nothing outside the store');
like($f->error_of('c1', q{CREATE FOREIGN TABLE each.x (a int) SERVER lake OPTIONS (role 'parquet', file '../etc/passwd'); SELECT * FROM each.x}), qr/is no name of an object/, 'nor by hand');

# Read only; what changed under it is told.
like($f->error_of('c1', "$_"), qr/0A000: cannot .*DETAIL: +Its rows are in Parquet files/s, $_) for q{INSERT INTO ext.sales VALUES (1, 'x')}, q{UPDATE ext.sales SET words = 'x'}, 'DELETE FROM ext.sales';
parquet('mixed/a', "SELECT 'text' AS x");
like($f->error_of('c1', 'SELECT * FROM ext.a'), qr/ERROR.*text/, 'a value that no longer fits is an error');
parquet('mixed/a', 'SELECT 1 AS z');
like($f->error_of('c1', 'SELECT x FROM ext.a'), qr/has no column "x".*HINT/s, 'and so is a column that is gone');
unlink "$store/mixed/a.parquet";
like($f->error_of('c1', 'SELECT x FROM ext.a'), qr/object "mixed\/a.parquet" cannot be read/, 'and a file');
$f->sql('c1', 'CREATE ROLE app; GRANT USAGE, CREATE ON SCHEMA each TO app');
like($f->error_of('c1', q{SET ROLE app; IMPORT FOREIGN SCHEMA sales FROM SERVER lake INTO each}), qr/42501/, 'only who may use the server imports');

# The same over HTTP.
my $s = ObjectStores->swift(PostgreSQL::Test::Utils::tempdir());
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('far', '" . $s->url('') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (" . $s->options . ')');
$f->sql('c1', q{CREATE TABLE event (id int NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i FROM generate_series(1, 100) i});
my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass, 'far')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'grace', 'an object over HTTP');
$f->sql('c1', q{CREATE SCHEMA far; IMPORT FOREIGN SCHEMA node1 FROM SERVER far INTO far});
my $table = $f->sql('c1', q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'far'::regnamespace});
is($f->sql('c1', "SELECT count(*) FROM $table"), '100', 'read as any file');
my @left = glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/foreign*';
is(scalar(@left), 0, 'no copy is left');

done_testing();
