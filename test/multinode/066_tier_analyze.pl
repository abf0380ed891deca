# Topology: one node with an encrypted store, whose objects are never read in place. Tables `cold` and `hot` have the same rows; two of the four partitions
# of `cold` go to the store.
# Proves: ANALYZE of a partition in a store and of its parent, by hand, with VACUUM and by autovacuum, makes the statistics that heaps would have given:
# rows, distinct values, common values, histograms, correlation, of expressions and extended ones; it reads a bounded part of a segment; what cannot be
# read is said in a warning, and leaves the statistics of the partition as they were.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $store = PostgreSQL::Test::Utils::tempdir;
my $keys = Fabric::key_file();
my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.store_key_file = '$keys'\nautovacuum = off\n");
my $cache = $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read';
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sub forget { unlink glob("$cache/*"); return; }
sub warnings_of { my ($sql) = @_; my ($rc, $text, $err) = $f->node('c1')->psql('postgres', $sql); return join "\n", grep { $_ ne '' } $err, $text; }
sub to_store {
	my ($part) = @_;
	my $move = sql("SELECT vectorshard.move_to_cold('$part'::regclass, grace => '0 s')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$part is in the store");
	return;
}

sql("SELECT vectorshard.create_store('vault', 'file://$store', encrypted => true)");
for my $t ('cold', 'hot') {
	sql("CREATE TABLE $t (gone int, id int, day date, kind text, part int, tens int GENERATED ALWAYS AS (part * 10) STORED, amount numeric(10,2), words text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)");
	for my $month (1 .. 4) {
		my $next = $month + 1;
		sql("CREATE TABLE ${t}_$month PARTITION OF $t FOR VALUES FROM ('2020-0$month-01') TO ('2020-0$next-01')");
	}
	sql(qq{
		ALTER TABLE $t DROP COLUMN gone;
		CREATE INDEX ON $t (lower(kind));
		CREATE STATISTICS ${t}_all (ndistinct, dependencies, mcv) ON kind, part FROM $t;
		CREATE STATISTICS ${t}_one (ndistinct, dependencies, mcv) ON kind, part FROM ${t}_1;
		CREATE STATISTICS ${t}_sum ON (part + id % 7) FROM ${t}_1;
		INSERT INTO $t (id, day, kind, part, amount, words) SELECT i, date '2020-01-01' + i / 700,
				CASE WHEN i % 3 = 0 THEN NULL WHEN i % 4 = 0 THEN 'Bus' ELSE 'Kind' || (i::int8 * 7919 % 500) END, (i::int8 * 7919 % 500) / 5, (i::int8 * 104729 % 100000) / 100.0, md5(i::text)
			FROM generate_series(0, 84000) i;
		ANALYZE $t});
}
# Statistics of before may not be what is compared.
to_store("cold_$_") for 1, 2;
sql('ALTER TABLE cold ADD COLUMN later int DEFAULT 5; ALTER TABLE hot ADD COLUMN later int DEFAULT 5');
sql(q{DELETE FROM pg_statistic WHERE starelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'cold'::regclass UNION SELECT 'cold'::regclass UNION SELECT indexrelid FROM pg_index WHERE indrelid::regclass::text LIKE 'cold%')});
sql('DELETE FROM pg_statistic_ext_data d USING pg_statistic_ext e WHERE e.oid = d.stxoid AND e.stxname LIKE \'cold%\'');
forget();
is(warnings_of('ANALYZE hot'), '', 'the table in heaps');
is(warnings_of('ANALYZE cold'), '', 'half of the other one is in a store');

# Each column: share of nulls, distinct values, the most common value, nine values of the histogram where there are no common ones, correlation.
sub statistics {
	my ($table, $inherited) = @_;
	my %of;
	for my $line (split /\n/, sql(qq{
		SELECT attname, null_frac, CASE WHEN n_distinct < 0 THEN -n_distinct * (SELECT count(*) FROM $table) ELSE n_distinct END, (most_common_vals::text::text[])[1], (most_common_freqs)[1], coalesce(correlation, 0), avg_width,
			(SELECT string_agg((h.bounds[1 + (array_length(h.bounds, 1) - 1) * k / 10])::text, ' ' ORDER BY k) FROM generate_series(1, 9) k,
				(SELECT CASE WHEN attname IN ('id', 'amount') THEN histogram_bounds::text::float8[] END AS bounds) h)
		FROM pg_stats WHERE tablename = '$table' AND inherited = '$inherited' ORDER BY 1})) {
		my ($name, @values) = split /\|/, $line, -1;
		$of{$name} = \@values;
	}
	return \%of;
}
sub near { my ($x, $y, $most) = @_; return abs($x - $y) <= $most; }
sub alike {
	my ($table, $inherited, $what) = @_;
	my ($cold, $hot) = (statistics("cold$table", $inherited), statistics("hot$table", $inherited));
	my @wrong;
	for my $name (sort keys %$hot) {
		my ($c, $h) = ($cold->{$name}, $hot->{$name});
		if (!$c) { push @wrong, "$name has none"; next; }
		my $range = $name eq 'id' ? 84000 : 1000;
		my @c = split / /, $c->[6];
		my @h = split / /, $h->[6];
		push @wrong, "$name: nulls" if !near($c->[0], $h->[0], 0.02);
		push @wrong, "$name: distinct" if !near($c->[1], $h->[1], 0.15 * $h->[1] + 1);
		push @wrong, "$name: most common value" if $name eq 'kind' && ($c->[2] ne $h->[2] || !near($c->[3], $h->[3], 0.02));
		push @wrong, "$name: correlation" if !near($c->[4], $h->[4], 0.1);
		push @wrong, "$name: width" if !near($c->[5], $h->[5], 1);
		push @wrong, "$name: histogram" if @c != @h || grep { !near($c[$_], $h[$_], 0.03 * $range) } 0 .. $#h;
		diag("$name: @$c, not @$h") if @wrong && $wrong[-1] =~ /^$name:/;
	}
	cmp_ok(scalar(keys %$hot), '>=', 8, "$what: all columns");
	is("@wrong", '', $what);
	return;
}
# Columns are numbered as pg_stats shows them: 0 nulls, 1 distinct, 2 and 3 the most common, 4 correlation, 5 width, 6 histogram.
alike('', 't', 'statistics of the parent');
alike('_1', 'f', 'statistics of a partition in the store');
alike('_3', 'f', 'statistics of one in a heap');
is(sql(q{SELECT n_distinct, most_common_vals::text FROM pg_stats WHERE tablename = 'cold_1' AND attname = 'later'}), '1|{5}', 'a column that came later has its default');
my $of_expressions = q{SELECT attname, round(null_frac::numeric, 1), round(n_distinct::numeric, 0), (most_common_vals::text::text[])[1] FROM pg_stats WHERE tablename LIKE '%s_1_lower_idx'};
is(sql(sprintf $of_expressions, 'cold'), sql(sprintf $of_expressions, 'hot'), 'statistics of an expression of an index');
for my $of ('all', 'one') {
	my ($cold, $hot) = map {
		[ split /\|/, sql(qq{SELECT n_distinct::text::json ->> '4, 5', dependencies::text::json ->> '4 => 5', most_common_freqs[1] FROM pg_stats_ext WHERE statistics_name = '${_}_$of' AND inherited = ('$of' = 'all')}) ]
	} 'cold', 'hot';
	is(scalar @$hot, 3, "extended statistics ($of)");
	ok(near($cold->[0], $hot->[0], 0.1 * $hot->[0]) && near($cold->[1], $hot->[1], 0.1) && near($cold->[2], $hot->[2], 0.01), 'are those of the heaps') || diag("@$cold, not @$hot");
}
my ($sum_of_cold, $sum_of_hot) = map { sql("SELECT n_distinct FROM pg_stats_ext_exprs WHERE statistics_name = '${_}_sum'") } 'cold', 'hot';
ok(near($sum_of_cold, $sum_of_hot, 3), 'and of an expression');

# Numbers of rows are exact, and pages those of the heap, by whichever way.
my $sizes = q{SELECT relname, reltuples, relpages FROM pg_class WHERE relname IN ('%1$s_1', '%1$s_2', '%1$s_3', '%1$s_4', '%1$s') ORDER BY 1};
(my $expected = sql(sprintf $sizes, 'hot')) =~ s/hot/cold/g;
is(sql(sprintf $sizes, 'cold'), $expected, 'rows and pages');
for my $way ('VACUUM ANALYZE cold', 'ANALYZE cold_1', 'VACUUM (ANALYZE, FREEZE) cold_1, cold_2', 'SET track_activities = off; ANALYZE cold', q{SET maintenance_work_mem = '1MB'; ANALYZE cold}, 'SET default_statistics_target = 1000; ANALYZE cold', 'BEGIN; ANALYZE cold; COMMIT') {
	is(warnings_of($way), '', $way);
	is(sql(sprintf $sizes, 'cold'), $expected, 'changes no numbers');
}
alike('', 't', 'statistics of the parent once more');
sql('SET default_statistics_target = 1000; ANALYZE cold (words)');
cmp_ok(sql(q{SELECT array_length(histogram_bounds, 1) FROM pg_stats WHERE tablename = 'cold' AND attname = 'words' AND inherited}), '>', 900, 'more rows for a higher target');
# A file of more than a gigabyte would have more blocks than may be prefetched of one that is empty.
sql(q{UPDATE pg_class SET relpages = 300000 WHERE relname = 'cold_1'});
is(warnings_of('ANALYZE cold_1; ANALYZE cold'), '', 'a large one');
is(sql(q{SELECT relpages, reltuples FROM pg_class WHERE relname = 'cold_1'}), '300000|' . sql('SELECT count(*) FROM cold_1'), 'stays as large');
is(warnings_of('SET track_activities = off; ANALYZE cold'), '', 'and can be analyzed where it is not told what is analyzed');
sql(q{UPDATE pg_class c SET relpages = (SELECT h.relpages FROM pg_class h WHERE h.relname = 'hot_1') WHERE c.relname = 'cold_1'; ANALYZE cold});

# Autovacuum, of a partition that was never analyzed.
sql(q{CREATE TABLE late (id int, day date, part int) PARTITION BY RANGE (day); CREATE TABLE late_1 PARTITION OF late FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
	INSERT INTO late SELECT i, '2020-01-05', i % 7 FROM generate_series(1, 5000) i});
to_store('late_1');
is(sql(q{SELECT count(*) FROM pg_stats WHERE tablename = 'late_1'}), '0', 'no statistics yet');
sql($_) for 'ALTER SYSTEM SET autovacuum = on', 'ALTER SYSTEM SET autovacuum_naptime = 1', 'SELECT pg_reload_conf()';
$f->poll('c1', q{SELECT n_distinct FROM pg_stats WHERE tablename = 'late_1' AND attname = 'part'}, '7', 'autovacuum makes them');
is(sql(q{SELECT reltuples FROM pg_class WHERE relname = 'late_1'}), '5000', 'and keeps the number of rows');
sql($_) for 'ALTER SYSTEM SET autovacuum = off', 'SELECT pg_reload_conf()';

# Of a large segment a part is read, all over it.
sql(q{CREATE TABLE big (id int, day date, words text) PARTITION BY RANGE (day); CREATE TABLE big_1 PARTITION OF big FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO big SELECT i, date '2020-01-01' + i / 1000, md5(i::text) || md5((-i)::text) FROM generate_series(1, 300000) i});
to_store('big_1');
my $bytes = sql(q{SELECT bytes FROM vectorshard.segment WHERE table_name LIKE '%big_1'});
sub fetched { my $n = 0; for my $map (glob "$cache/*.map") { my $there = slurp_file($map); $n += ($there =~ tr/\x01//) * 65536; } return $n; }
forget();
is(warnings_of('SET vectorshard.analyze_mb = 3; ANALYZE big_1'), '', 'of a large one');
my $part = fetched();
cmp_ok($part, '>', 1 << 20, "$part of $bytes bytes are read");
cmp_ok($part, '<', 5 << 20, 'within the limit');
cmp_ok($part, '<', $bytes / 2, 'which is not all');
is(sql(q{SELECT reltuples FROM pg_class WHERE relname = 'big_1'}), '300000', 'all rows are counted');
is(sql(q{SELECT string_agg(n_distinct::text, ' ' ORDER BY attname) FROM pg_stats WHERE tablename = 'big_1' AND attname IN ('id', 'words')}), '-1 -1', 'distinct values');
my ($least, $most) = split /\|/, sql(q{SELECT (histogram_bounds::text::int[])[1], (histogram_bounds::text::int[])[array_length(histogram_bounds, 1)] FROM pg_stats WHERE tablename = 'big_1' AND attname = 'id'});
cmp_ok($most - $least, '>', 120000, 'from all over it');

# A store that is away; a warning, and nothing is forgotten.
my $own = sql(q{SELECT array_agg(s.*::text ORDER BY attname) FROM pg_stats s WHERE tablename IN ('cold_1', 'cold_2')});
my $before = sql(sprintf $sizes, 'cold');
rename $store, "$store.away" or die $!;
forget();
my $said = warnings_of('ANALYZE cold');
like($said, qr/WARNING:  skipping "cold_1" --- its rows cannot be read from the store\nDETAIL:  .*cannot be read.*\nHINT:  Its rows are counted.*skipping "cold_2"/s, 'a warning for each partition');
unlike($said, qr/ERROR/, 'and no error');
like(warnings_of('ANALYZE cold_1'), qr/skipping "cold_1" .*HINT:  Its statistics stay as they are/s, 'of the partition itself');
is(sql(q{SELECT array_agg(s.*::text ORDER BY attname) FROM pg_stats s WHERE tablename IN ('cold_1', 'cold_2')}), $own, 'its statistics stay');
is(sql(sprintf $sizes, 'cold'), $before, 'and so do the numbers of rows');
is(sql(q{SELECT count(*) FROM pg_stats WHERE tablename = 'cold' AND inherited AND attname = 'id' AND (histogram_bounds::text::int[])[1] > 40000}), '1', 'those of the parent are of the heaps');
like(warnings_of('BEGIN; CREATE TEMP TABLE mine (i int); INSERT INTO mine VALUES (1); ANALYZE cold; SELECT count(*) FROM mine; COMMIT'), qr/^1$/m, 'the transaction goes on');
rename "$store.away", $store or die $!;
is(warnings_of('ANALYZE cold'), '', 'the store is back');
alike('', 't', 'and the statistics are whole');

# One that does not answer is asked once, whatever lies in it.
warnings_of(q{SELECT vectorshard.create_store('far', 's3://cold/x?endpoint=http://127.0.0.1:1'); CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (access_key_id 'a', secret_access_key 'b')});
sql(q{UPDATE vectorshard.segment SET store = 'far' WHERE table_name IN ('public.cold_1', 'public.cold_2')});
forget();
$said = warnings_of('BEGIN; ANALYZE cold; COMMIT');
like($said, qr/skipping "cold_1".*skipping "cold_2"[^\n]*\nDETAIL:  store "far" did not answer a moment ago/s, 'a store that does not answer');
is(scalar(() = $said =~ /did not answer a moment ago/g), 3, 'is asked once in a command');
sql(q{UPDATE vectorshard.segment SET store = 'vault' WHERE store = 'far'});

# What ends the command is no matter of the store.
forget();
like($f->error_of('c1', q{SET statement_timeout = '30ms'; SET default_statistics_target = 10000; ANALYZE big}), qr/57014/, 'a time-out ends it');
done_testing();
