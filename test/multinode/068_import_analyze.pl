# Topology: one node; Parquet files of others in a directory and in Swift.
# Proves: ANALYZE of foreign tables over them makes the statistics that a heap with the same rows would have, of many files, too, and of a parent that
# has one; of large files only a bounded part is read; what cannot be read is a warning, and the statistics stay.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use ParquetFiles;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.placement_mode = off\nautovacuum = off\n");
my $store = PostgreSQL::Test::Utils::tempdir;
mkdir "$store/$_" or die "mkdir: $!" for 'uneven', 'many', 'odd', 'large';
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sub said { my ($sql) = @_; my ($rc, $text, $err) = $f->node('c1')->psql('postgres', $sql); return join "\n", grep { $_ ne '' } $err, $text; }
sub parquet { return write_parquet($store, @_); }
sub near { my ($x, $y, $most) = @_; return abs($x - $y) <= $most; }
sql("SELECT vectorshard.create_store('lake', 'file://$store'); CREATE SERVER lake TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw; CREATE SCHEMA ext");

# Two files, of which one has nine tenths of the rows, and other values.
my $values = q{SELECT range::INTEGER AS id, CASE WHEN range % 4 <> 0 THEN 'Kind' || range * 7919 % 50 END AS kind, range < 90000 AS early, (range * 104729 % 100000) / 100.0 AS amount,
	DATE '2020-01-01' + (range // 500)::INTEGER AS day, [range % 3] AS list};
parquet('uneven/a', "$values FROM range(0, 90000)", ', ROW_GROUP_SIZE 10240');
parquet('uneven/b', "$values FROM range(90000, 100000)", ', ROW_GROUP_SIZE 2048');
sql('IMPORT FOREIGN SCHEMA uneven FROM SERVER lake INTO ext; CREATE TABLE heap AS SELECT * FROM ext.uneven; ANALYZE heap');
sub rows_of { my ($query) = @_; return sql("EXPLAIN $query") =~ /rows=(\d+)/ ? $1 : -1; }
is(rows_of('SELECT * FROM ext.uneven'), '100000', 'without statistics, too, the planner has the number of rows');
like(said('ANALYZE VERBOSE ext.uneven'), qr/"uneven": 30000 rows in sample out of 2 files, 100000 estimated total rows/, 'a sample as large as that of a heap');
sub statistics {
	my ($table, $inherited) = @_;
	my %of;
	for my $line (split /\n/, sql(qq{SELECT attname, null_frac, CASE WHEN n_distinct < 0 THEN -n_distinct * 100000 ELSE n_distinct END, coalesce(correlation, 0), avg_width, coalesce((most_common_freqs)[1], 0),
			(most_common_vals::text::text[])[1] FROM pg_stats WHERE tablename = '$table' AND inherited = '$inherited'})) {
		my ($name, @values) = split /\|/, $line, -1;
		$of{$name} = \@values;
	}
	return \%of;
}
sub alike {
	my ($mine, $theirs, $what) = @_;
	my @wrong;
	for my $name (sort keys %$theirs) {
		my ($m, $t) = ($mine->{$name}, $theirs->{$name});
		if (!$m) { push @wrong, "$name has none"; next; }
		my $good = near($m->[0], $t->[0], 0.02) && near($m->[1], $t->[1], 0.15 * $t->[1] + 1) && near($m->[2], $t->[2], 0.1) && near($m->[3], $t->[3], 1) && near($m->[4], $t->[4], 0.02);
		$good &&= $m->[5] eq $t->[5] if $name eq 'early';
		push @wrong, "$name: @$m, not @$t" if !$good;
	}
	is(scalar(keys %$theirs), 6, "$what: all columns");
	is("@wrong", '', $what);
	return;
}
alike(statistics('uneven', 'f'), statistics('heap', 'f'), 'statistics are those of a heap');
my ($rows, $pages, $heap_rows, $heap_pages) = split /\|/, sql(q{SELECT a.reltuples, a.relpages, b.reltuples, b.relpages FROM pg_class a, pg_class b WHERE a.oid = 'ext.uneven'::regclass AND b.oid = 'heap'::regclass});
is($rows, $heap_rows, 'the number of rows');
ok(near($pages, $heap_pages, 0.1 * $heap_pages), "$pages pages, as a heap of $heap_pages");
my $kind = rows_of(q{SELECT * FROM ext.uneven WHERE kind = 'Kind7'});
my $there = sql(q{SELECT count(*) FROM heap WHERE kind = 'Kind7'});
ok(near($kind, $there, 300), "the planner expects $kind of $there rows");
sql('CREATE STATISTICS ext.pairs (dependencies) ON day, early FROM ext.uneven; ANALYZE ext.uneven');
is(sql(q{SELECT dependencies::text::json ->> '5 => 3' FROM pg_stats_ext WHERE statistics_name = 'pairs'}), '1.000000', 'extended statistics');
sql('SET default_statistics_target = 10; ANALYZE ext.uneven (id)');
is(sql(q{SELECT array_length(histogram_bounds, 1) FROM pg_stats WHERE tablename = 'uneven' AND attname = 'id'}), '11', 'of a column alone, with another target');

# As a partition beside one in a heap: each counts by its rows.
sql(q{CREATE TABLE halves (LIKE heap) PARTITION BY RANGE (id); CREATE TABLE halves_1 PARTITION OF halves FOR VALUES FROM (0) TO (90000);
	CREATE FOREIGN TABLE halves_2 PARTITION OF halves FOR VALUES FROM (90000) TO (100000) SERVER lake OPTIONS (role 'parquet', file 'uneven/b.parquet');
	INSERT INTO halves SELECT * FROM heap WHERE id < 90000});
is(said('ANALYZE halves'), '', 'a parent that has one');
alike(statistics('halves', 't'), statistics('heap', 'f'), 'its statistics are those of all rows');
is(sql(q{SELECT reltuples FROM pg_class WHERE relname = 'halves'}), '100000', 'which it counts');

# Many files: some of them, all over the folder, stand for all.
system('/usr/bin/python3', '-c', "import shutil, sys\nfor i in range(150): shutil.copy(sys.argv[1], sys.argv[2] + '/%03d.parquet' % i)", parquet('odd/one', 'SELECT range AS id FROM range(300)'), "$store/many") == 0 or die;
parquet('many/150', 'SELECT range + 1000 AS id FROM range(300)');
unlink "$store/odd/one.parquet";
sql('IMPORT FOREIGN SCHEMA many FROM SERVER lake INTO ext');
like(said('ANALYZE VERBOSE ext.many'), qr/"many": (29\d\d\d|30000) rows in sample out of 100 files, 45\d\d\d estimated total rows/, 'of many files a hundred are read');
is(sql(q{SELECT n_distinct >= 300 FROM pg_stats WHERE tablename = 'many'}), 't', 'of whose rows all have a chance');

# Names that tell no place in the file.
parquet('odd/odd', q{SELECT range AS file_row_number, range % 7 AS "a, b", {'b': range} AS a FROM range(50000)}, ', ROW_GROUP_SIZE 2048');
sql('IMPORT FOREIGN SCHEMA odd FROM SERVER lake INTO ext');
is(said('SET default_statistics_target = 10; ANALYZE ext.odd'), '', 'names that DuckDB has a meaning for');
is(sql(q{SELECT c.reltuples, s.n_distinct FROM pg_class c, pg_stats s WHERE c.oid = 'ext.odd'::regclass AND s.tablename = 'odd' AND s.attname = 'a, b'}), '50000|7', 'are sampled, too');
parquet('odd/odd', 'SELECT range AS file_row_number FROM range(0)');
sql(q{CREATE FOREIGN TABLE ext.none (file_row_number bigint) SERVER lake OPTIONS (role 'parquet', file 'odd/odd.parquet')});
is(said('ANALYZE ext.none'), '', 'a file without rows');
is(sql(q{SELECT reltuples FROM pg_class WHERE relname = 'none'}), '0', 'has none');

# Of a large file elsewhere a part is read, all over it.
my $big = parquet('large/big', 'SELECT range AS id, md5(range::VARCHAR) || md5((-range)::VARCHAR) AS words FROM range(300000)', ', ROW_GROUP_SIZE 10240');
my $s = ObjectStores->swift(PostgreSQL::Test::Utils::tempdir());
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('far', '" . $s->url('') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (" . $s->options . ')');
$s->upload('large/big.parquet', $big);
sql('IMPORT FOREIGN SCHEMA large FROM SERVER far INTO ext');
my $cache = $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read';
sub fetched { my $n = 0; for my $map (glob "$cache/*.map") { my $there = slurp_file($map); $n += ($there =~ tr/\x01//) * 65536; } return $n; }
unlink glob "$cache/*";
is(said('SET vectorshard.analyze_mb = 3; ANALYZE ext.big'), '', 'of a large one');
my ($part, $size) = (fetched(), -s $big);
cmp_ok($part, '>', 1 << 20, "$part of $size bytes are read");
cmp_ok($part, '<', 5 << 20, 'within the limit');
cmp_ok($part, '<', $size / 2, 'which is not all');
is(sql(q{SELECT reltuples FROM pg_class WHERE relname = 'big'}), '300000', 'all rows are counted');
my ($least, $most) = split /\|/, sql(q{SELECT (histogram_bounds::text::int[])[1], (histogram_bounds::text::int[])[array_length(histogram_bounds, 1)] FROM pg_stats WHERE tablename = 'big' AND attname = 'id'});
cmp_ok($most - $least, '>', 120000, 'from all over it');

# What cannot be read is said once, and nothing is forgotten.
my $of = q{SELECT array_agg(s.*::text ORDER BY tablename, attname) FROM pg_stats s WHERE tablename IN ('big', 'uneven', 'halves_2')};
my $sizes = q{SELECT string_agg(relname || ' ' || reltuples || ' ' || relpages, ', ' ORDER BY relname) FROM pg_class WHERE relname IN ('big', 'uneven', 'halves_2')};
sql('ANALYZE ext.uneven; ANALYZE halves_2');
my ($before, $sizes_before) = (sql($of), sql($sizes));
$s->stop;
rename "$store/uneven", "$store/away" or die $!;
my $warned = said('ANALYZE ext.big; ANALYZE halves_2');
like($warned, qr/WARNING:  skipping "big" --- its rows cannot be read from the store\nDETAIL:  .*\nHINT:  Its statistics stay.*WARNING:  skipping "halves_2" .*uneven\/b\.parquet/s, 'a store and a file that are away are warnings');
is(scalar(() = $warned =~ /WARNING/g), 2, 'one each');
like(said('ANALYZE halves'), qr/WARNING:  skipping "halves_2" .*HINT:  Its rows are counted/s, 'and of the parent');
is(sql($of), $before, 'statistics stay');
is(sql($sizes), $sizes_before, 'and the numbers of rows and pages');
rename "$store/away", "$store/uneven" or die $!;
parquet('uneven/b', "SELECT 'x' AS id");
like(said('ANALYZE halves_2'), qr/WARNING:  skipping "halves_2" .*uneven\/b.*has no column/s, 'nor a file that has other columns now');
is(sql($of), $before, 'changes anything');
done_testing();
