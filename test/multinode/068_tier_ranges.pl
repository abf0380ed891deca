# Topology: one node with an encrypted store, whose objects are never read in place.
# Proves: of an object elsewhere only the parts are fetched that a question needs, once for all processes; a part that is not what was written is an
# error that names the object, and never a row; what is cached stays below its limit and outlives no start of the server.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $store = PostgreSQL::Test::Utils::tempdir;
my $keys = Fabric::key_file();
my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.store_key_file = '$keys'\n");
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sql("SELECT vectorshard.create_store('vault', 'file://$store', encrypted => true)");
sql(q{CREATE TABLE event (id int, at timestamptz, amount numeric(12,2), words text) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
	INSERT INTO event SELECT i, '2026-01-01Z'::timestamptz + i * interval '5 s', (i::int8 * 7919 % 100000) / 100.0, md5(i::text) FROM generate_series(1, 500000) i;
	ANALYZE event});
my $day = q{FROM event WHERE at >= '2026-01-12Z' AND at < '2026-01-13Z'};
my $truth = sql("SELECT count(*), sum(amount) $day");
my $all = q{SELECT count(*), sum(amount), sum(length(words)), max(at) FROM event};
my $whole = sql($all);
my $move = sql("SELECT vectorshard.move_to_cold('event_1'::regclass, grace => '0 s')");
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', 'in the store');
my $bytes = sql('SELECT bytes FROM vectorshard.segment');
my $cache = $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read';
sub forget { unlink glob("$cache/*"); return; }
sub fetched { my ($query) = @_; return sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $query") =~ /Fetched: (\d+) bytes/ ? $1 : 0; }

forget();
my $part = fetched("SELECT count(*), sum(amount) $day");
cmp_ok($part, '>', 0, 'a day is fetched');
cmp_ok($part, '<', $bytes / 8, "a day of a month is $part of $bytes bytes");
is(sql("SELECT count(*), sum(amount) $day"), $truth, 'and right');
is(fetched("SELECT count(*), sum(amount) $day"), 0, 'another process has nothing to fetch');
is(fetched('SELECT * FROM event WHERE id < 0'), 0, 'nor who asks for what is not there');
cmp_ok(fetched('SELECT id FROM event WHERE id = 400000'), '<', $bytes / 4, 'a row by its number');
is(sql(q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SELECT count(f) FROM (SELECT id + 1 AS f FROM event WHERE id + 1 > 250000) x}), '250001', 'workers fetch what they read');
is(sql($all), $whole, 'all of it');
sql(q{CREATE SERVER vault TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw; CREATE SCHEMA lake; IMPORT FOREIGN SCHEMA node1 FROM SERVER vault INTO lake});
my $file = sql(q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'lake'::regnamespace});
is(sql(qq{SELECT count(*), sum(amount), sum(length(words)), max(at) FROM $file}), $whole, 'and as a file of others, which is opened as a segment is');

# Another start of the server trusts nothing that lay there.
forget();
sql("SELECT count(*), sum(amount) $day");
my ($map) = glob("$cache/*.map");
ok($map, 'a map tells what is there');
$f->kill9_and_restart('c1');
is(fetched("SELECT count(*), sum(amount) $day"), $part, 'kill -9: fetched anew');
is(sql("SELECT count(*), sum(amount) $day"), $truth, 'and right');

# Parts that are not what was written.
sub damaged {
	my ($what) = @_;
	my $error = $f->error_of('c1', "SELECT count(*), sum(amount) $day");
	like($error, qr/XX001: segment object "node1\/.*" .*(damaged|cannot be read)/, $what);
	return;
}
forget();
my $sums = sql('SELECT blocks FROM vectorshard.segment');
sql(q{UPDATE vectorshard.segment SET blocks = translate(blocks, '0123456789abcdef', '123456789abcdef0')});
damaged('a checksum that does not fit');
sql("UPDATE vectorshard.segment SET blocks = '$sums'");
is(sql("SELECT count(*), sum(amount) $day"), $truth, 'it was the manifest that was changed');
forget();
my ($object) = glob("$store/node1/*");
my $good = slurp_file($object);
my $bad = $good;
substr($bad, length($bad) * 0.37, 100) = 'x' x 100;
open my $out, '>:raw', $object or die $!;
print $out $bad;
close $out;
damaged('an object that is damaged there');
open $out, '>:raw', $object or die $!;
print $out $good;
close $out;
is(sql("SELECT count(*), sum(amount) $day"), $truth, 'restored');

# The same of an object that is read where it lies, and of rows too large for a usual row group.
my $near = PostgreSQL::Test::Utils::tempdir;
sql("SELECT vectorshard.create_store('near', 'file://$near')");
sql(q{CREATE TABLE photo (id int, day date, picture bytea) PARTITION BY RANGE (day);
	CREATE TABLE photo_1 PARTITION OF photo FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
	ALTER TABLE photo ALTER picture SET STORAGE EXTERNAL;
	INSERT INTO photo SELECT i, '2026-01-02', (SELECT string_agg(decode(md5(i::text || g), 'hex'), '') FROM generate_series(1, 6000) g) FROM generate_series(1, 600) i; ANALYZE photo});
my $photos = 'SELECT count(*), md5(string_agg(md5(picture), id::text ORDER BY id)) FROM photo';
my $pictures = sql($photos);
$move = sql("SELECT vectorshard.move_to_cold('photo_1'::regclass, 'near', grace => '0 s')");
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', 'large rows go to a store');
is(sql($photos), $pictures, 'and are read');
forget();
($object) = glob("$near/node1/*");
open $out, '+<:raw', $object or die $!;
seek $out, 1_000_000, 0;
print $out 'x';
close $out;
like($f->error_of('c1', $photos), qr/XX001: segment object "node1\/.*" is damaged/, 'a byte of an object that is read where it lies');

# Cancel and time-outs reach into fetching and reading.
like($f->error_of('c1', q{SET statement_timeout = '30ms'; SELECT count(DISTINCT words), count(DISTINCT amount) FROM event}), qr/57014/, 'statement_timeout');
done_testing();
