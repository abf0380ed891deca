# Topology: one node. Tables with partitions in a store that have more rows than are read at first: narrow ones, wide ones, ones with the same value in every row.
# Proves: what is handed over in large portions is what is there: in order and in parallel, with columns that came later, whatever is wide, when the
# scan is interrupted in between, when it ends early; a cancel gets through; a scan that fails leaves nothing behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nshared_buffers = 256MB\n");
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }

my $store = PostgreSQL::Test::Utils::tempdir;
sql("SELECT vectorshard.create_store('cold', 'file://$store')");

my %columns = (
	narrow => [ 'a int NOT NULL, b bigint, c text, n numeric(10,3), d date, f float8', q{k % 1000, CASE WHEN k % 7 > 0 THEN k * 1000003::bigint END, CASE WHEN k % 3 > 0 THEN 'word ' || k % 5000 END, k / 8.0, date '2020-01-01' + k % 3000, sqrt(k)}, 200_000 ],
	wide   => [ 'a int NOT NULL, c text, y bytea', q{k, repeat(md5(k::text), 40), CASE WHEN k % 9 > 0 THEN decode(repeat(md5(k::text), 20), 'hex') END}, 70_000 ],
	same   => [ 'a int NOT NULL, c text, n numeric(8,2), z int', q{7, 'always', NULL, NULL}, 130_000 ],
);
for my $table (sort keys %columns) {
	my ($list, $values, $rows) = @{ $columns{$table} };
	for my $name ($table, "${table}_heap") {
		sql("CREATE TABLE $name (id int NOT NULL, $list) PARTITION BY RANGE (id)");
		sql("CREATE TABLE ${name}_1 PARTITION OF $name FOR VALUES FROM (0) TO (10000000)");
	}
	sql("INSERT INTO $table SELECT k, $values FROM generate_series(1, $rows) k; INSERT INTO ${table}_heap SELECT * FROM $table");
	my $move = sql("SELECT vectorshard.move_to_cold('${table}_1'::regclass, grace => '0 s')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$table is in the store");
	sql("ALTER TABLE $_ ADD COLUMN later text DEFAULT 'came later'") for $table, "${table}_heap";
	sql("ANALYZE $table; ANALYZE ${table}_heap");
}
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0';
my $serial = 'SET max_parallel_workers_per_gather = 0';
like(sql("$parallel; EXPLAIN SELECT max(md5(concat(c, b))) FROM narrow t"), qr/Parallel Foreign Scan/, 'workers share the reading');
for my $table (sort keys %columns) {
	# Sums of hashes do not depend on the order. Rows as one value are read with their numbers, columns without.
	my $each = join ', ', 'id', $columns{$table}[0] =~ /(\w+) \w+[^,]*?(?:\(\d+,\d+\))?[^,]*(?:,|$)/g, 'later';
	for my $query ('SELECT count(*), sum(hashtext(t::text)::bigint) FROM %s t', "SELECT count(*), sum(hashtext(concat_ws('|', $each))::bigint) FROM %s t WHERE a %% 3 = 1", "SELECT count(*), sum(hashtext(concat_ws('|', $each))::bigint) FROM %s", 'SELECT sum(hashtext(c)::bigint), max(later) FROM %s') {
		my $want = sql(sprintf $query, "${table}_heap");
		is(sql("$serial; " . sprintf $query, $table), $want, "$table, in order: $query");
		is(sql("$parallel; " . sprintf $query, $table), $want, "$table, in parallel: $query");
	}
	# A table scan gives rows as they stand in the segment.
	is(sql("$serial; SELECT bool_and(id > before) FROM (SELECT id, lag(id, 1, 0) OVER () AS before, length(c) AS l FROM $table) q"), 't', "$table: rows keep their order");
}
is(sql(q{SELECT count(*) FROM (SELECT * FROM narrow LIMIT 70000 OFFSET 5) q}), 70000, 'a scan may end early, in a large portion too');
is(sql(q{SELECT string_agg(n.id || ' ' || s.c, ', ' ORDER BY n.id) FROM (VALUES (5), (150000)) v(id) JOIN narrow n USING (id) CROSS JOIN LATERAL (SELECT c FROM same s OFFSET 100000 LIMIT 1) s}), '5 always, 150000 always', 'scans inside of scans');
is(sql("$serial; SELECT count(*) FROM (SELECT n.id FROM narrow n FULL JOIN wide w ON n.id = w.id AND n.a >= 0) q"), 200_000, 'two scans by turns');
is(sql("$serial; SET enable_hashjoin = off; SET enable_nestloop = off; SET work_mem = '64kB'; SELECT count(*), count(n.c), count(s.c) FROM narrow n JOIN same s ON n.id = s.id"), '130000|86667|130000', 'and in a merge');
is(sql("$serial; SELECT count(*), sum(r.a) FROM narrow n, LATERAL (SELECT a FROM narrow_heap h WHERE h.id = n.id OFFSET 0) r WHERE n.id BETWEEN 100000 AND 100500"), '501|' . sql('SELECT sum(a) FROM narrow_heap WHERE id BETWEEN 100000 AND 100500'), 'with a query of a heap for each row');

# Interrupts that are no cancel: the scan goes on where it was.
{
	my $of = $f->node('c1')->background_psql('postgres', on_error_stop => 1);
	my $pid = $of->query_safe('SELECT pg_backend_pid()');
	$of->query_safe("$serial; SET client_min_messages = warning");
	my $want = sql('SELECT count(*), sum(hashtext(t::text)::bigint) FROM narrow_heap t');
	$of->query_until(qr/begun/, "\\echo begun\nSELECT count(*), sum(hashtext(t::text)::bigint) FROM narrow t;\n" x 2);
	my $asked = 0;
	while (sql("SELECT state = 'active' AND pg_log_backend_memory_contexts($pid) FROM pg_stat_activity WHERE pid = $pid") eq 't') { $asked++; }
	my @got = $of->query('') =~ /^(\d+\|-?\d+)$/mg;
	is_deeply(\@got, [ $want, $want ], 'a scan that is interrupted goes on where it was');
	cmp_ok($asked, '>', 2, 'it was interrupted');
	$of->quit;
}

# A scan that is given up, by a cancel or by an error in the query, leaves the session as it was.
{
	my ($out, $err);
	my $want = sql('SELECT count(*), sum(a) FROM narrow_heap');
	for my $settings ($serial, $parallel) {
		$f->node('c1')->psql('postgres', "$settings; SET statement_timeout = '150ms'; SELECT count(pg_sleep(0.00001)) FROM narrow n, narrow m; RESET statement_timeout; SELECT count(*), sum(a) FROM narrow", stdout => \$out, stderr => \$err, on_error_stop => 0);
		like($err, qr/canceling statement due to statement timeout/, 'a cancel gets through');
		is($out, $want, 'and the session reads on');
		$f->node('c1')->psql('postgres', "$settings; SELECT count(*) FROM narrow WHERE 1000 / (id - 150000) > 5; SELECT count(*), sum(a) FROM narrow", stdout => \$out, stderr => \$err, on_error_stop => 0);
		like($err, qr/division by zero/, 'an error of the query is told');
		is($out, $want, 'and the session reads on');
	}
}
done_testing();
