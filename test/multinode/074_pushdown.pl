# Topology: core c1, c2, edges e1, e2.
# Proves: aggregates, DISTINCT and LIMIT that other homes compute of their own rows give what a plain table with all rows gives,
# wherever clients are resident, copied, cold or moved to, and what a session wrote; what must not leave this node does not; an absent
# home is an error or a warning.
use strict;
use warnings;
use Fabric;
use Session;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0");
for my $name ('c2', 'e1', 'e2') {
	$f->add_server($name);
	$f->join($name, kind => $name eq 'c2' ? 'core' : 'edge');
}
my @nodes = ('c1', 'c2', 'e1', 'e2');
my $schema = q{CREATE TABLE m (car text COLLATE "C", id int, s int2, i int4, b int8, n numeric, odd numeric, f4 float4, f8 float8, day date, at timestamptz,
  gap interval, word text, code text COLLATE "C", ok bool, bits bit(8), doc jsonb, PRIMARY KEY (car, id));
CREATE INDEX ON m (at);
CREATE TABLE strict (car text COLLATE "C", id int, v numeric, PRIMARY KEY (car, id));};
# Sums of the floats are exact, so that their order does not matter.
sub rows_of {
	my ($c) = @_;
	return qq{INSERT INTO m SELECT 'car' || c, i, CASE WHEN (c + i) % 5 > 0 THEN c * i % 50 END, CASE WHEN (c + i) % 7 > 0 THEN c * 1000 - i END,
  CASE WHEN i % 3 > 0 THEN 9223372036854775807 - c * i END, round(c * i / 7.0, i % 5), CASE c * 8 + i WHEN 20 THEN numeric 'NaN' WHEN 41 THEN 'Infinity' ELSE c END, c * 0.25, c * i * 0.5,
  date '2026-01-01' + c * i % 90, timestamptz '2026-01-01 00:00Z' + (c * 31 + i * 17) % 97 * interval '7 minutes', c * i * interval '90 seconds',
  CASE WHEN c % 4 > 0 THEN 'word ' || (c * i) % 6 END, 'code ' || (c + i) % 9, CASE WHEN i % 4 > 0 THEN (c + i) % 2 = 0 END, (c * i % 256)::bit(8), jsonb_build_object('k', c % 3)
  FROM generate_series(1, 24) c, generate_series(1, 8) i WHERE $c; INSERT INTO strict SELECT 'car' || c, i, c * i / 4.0 FROM generate_series(1, 24) c, generate_series(1, 3) i WHERE $c};
}
$f->sql('c1', 'CREATE DATABASE plain');
sub truth { my ($sql) = @_; return $f->node('c1')->safe_psql('plain', $sql); }
truth($schema . rows_of('true'));
$f->sql('c1', $schema);
$f->sql('c1', "SELECT vectorshard.create_vector_shard_table('m', 'car'); SELECT vectorshard.create_vector_shard_table('strict', 'car', consistency => 'home')");
$f->poll($_, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before' AND tgrelid IN (to_regclass('m'), to_regclass('strict'))}, '2', "$_ has the tables")
  for @nodes;
$f->sql('c1', rows_of('c <= 12'));
$f->sql('c2', rows_of('c > 12'));
$f->poll($_, q{SELECT count(*) FROM vectorshard.client}, '24', "$_ knows all clients") for @nodes;

# What goes to the homes, and what does not.
my @pushed = (
	'SELECT count(*), count(s), count(word), count(*) FILTER (WHERE ok) FROM m',
	'SELECT sum(s), sum(i), sum(b), sum(n), sum(f4), sum(f8), sum(gap) FROM m',
	'SELECT avg(s), avg(i), avg(b), avg(n), avg(f4), avg(f8), avg(gap) FROM m',
	'SELECT min(s), max(i), min(b), max(n), min(f4), max(f8), min(day), max(at), min(gap), max(code) FROM m',
	'SELECT sum(odd), avg(odd), min(odd), max(odd), stddev(odd) FROM m',
	"SELECT sum(odd), avg(odd), max(odd), variance(odd) FROM m WHERE odd <> 'NaN'",
	'SELECT round(stddev(s), 8), round(var_pop(i), 8), round(stddev_samp(b), 8), round(variance(n), 8), round(stddev_pop(i), 8), round(var_samp(s), 8) FROM m',
	'SELECT round(stddev(f4)::numeric, 6), round(variance(f8)::numeric, 4), round(corr(f8, f4)::numeric, 6), regr_count(f8, f4), round(covar_pop(f8, f4)::numeric, 6) FROM m',
	'SELECT bool_and(ok), bool_or(ok), every(ok IS NULL OR ok), bit_and(i), bit_or(s), bit_xor(b), bit_or(bits) FROM m',
	'SELECT count(*), sum(n), avg(n), min(code), bool_or(ok), stddev(i) FROM m WHERE id > 100',
	'SELECT word, count(*), sum(n) FROM m GROUP BY word',
	'SELECT car, sum(b) AS s FROM m GROUP BY car HAVING count(*) FILTER (WHERE ok) > 2 AND sum(i) > 9000 ORDER BY s DESC, car',
	'SELECT ok, doc, id % 3, avg(n), max(at) - min(at) FROM m WHERE code <> \'code 3\' AND s IS NOT NULL GROUP BY ok, doc, id % 3',
	'SELECT day, bits, count(*) FROM m WHERE word LIKE \'word%\' GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 7',
	'SELECT id % 4 AS k, word FROM m GROUP BY 1, 2',
	'SELECT (id % 3) * 10 + count(*), word || 1, sum(n) FROM m GROUP BY id % 3, word HAVING sum(i) > (id % 3) + 5',
	'SELECT sum(i * 2 + 1) / count(*), 100 * sum(n) - 1, coalesce(max(code), \'none\') FROM m WHERE f8 > 10',
	'SELECT count(*) FROM m WHERE n > (SELECT avg(x) FROM generate_series(1, 20) x)',
	'SELECT max(at), min(at) FROM m',
	'SELECT DISTINCT word, ok FROM m',
	'SELECT DISTINCT ok, id % 5, day FROM m WHERE i > 3000 ORDER BY 3 DESC, 1, 2',
	'SELECT DISTINCT code FROM m ORDER BY code LIMIT 3',
	'SELECT count(DISTINCT word) FROM m',
	'SELECT id % 3, count(DISTINCT word), min(n), sum(DISTINCT i) FROM m WHERE i > 2000 GROUP BY 1 HAVING count(DISTINCT ok) > 1',
	'SELECT count(DISTINCT car), count(DISTINCT n * 2) FILTER (WHERE ok), max(id) FROM m',
	'SELECT code, string_agg(DISTINCT code, \',\'), array_agg(DISTINCT day ORDER BY day DESC) FROM m GROUP BY code ORDER BY count(DISTINCT id), code',
	'SELECT count(DISTINCT v) FROM strict WHERE id < 3',
	'SELECT id, count(DISTINCT car), sum(DISTINCT i % 5) FROM m WHERE id = 4 GROUP BY id',
	'SELECT count(*), sum(v), avg(v) FROM strict',
	'SELECT id, stddev(v) FROM strict WHERE v > 2 GROUP BY id',
	'SELECT DISTINCT id, v > 9 FROM strict',
);
my @limited = (
	'SELECT car, id, at FROM m ORDER BY at DESC, car, id LIMIT 9',
	'SELECT car, id, n FROM m WHERE ok ORDER BY n + id NULLS FIRST, car DESC, id LIMIT 5 OFFSET 4',
	'SELECT car, id, code FROM m ORDER BY code, b DESC NULLS LAST, car, id LIMIT 20',
	'SELECT count(*) FROM (SELECT FROM m LIMIT 11) x',
	'SELECT car, id, v FROM strict ORDER BY v DESC, car, id LIMIT 6',
	'SELECT count(*) FROM (SELECT word FROM m WHERE s > 3 LIMIT 150) x',
);
my @here = (
	'SELECT min(word), max(word) FROM m',
	'SELECT count(DISTINCT word), count(*) FROM m',
	'SELECT string_agg(code, \',\' ORDER BY car, id) FROM m',
	'SELECT count(*), sum(random() * 0) FROM m',
	'SELECT count(*) FROM m WHERE random() < 2',
	'SELECT word, id, count(*) FROM m GROUP BY GROUPING SETS (word, id)',
	'SELECT DISTINCT ON (car) car, id FROM m ORDER BY car, id',
	'SELECT car, id, word FROM m ORDER BY word NULLS FIRST, car, id LIMIT 6',
	'SELECT car, id FROM m ORDER BY id LIMIT (SELECT 0)',
	'SELECT count(*) FROM (SELECT id FROM m ORDER BY id FETCH FIRST 3 ROWS WITH TIES) x',
	"SELECT count(*), sum(i) FROM m WHERE car IN ('car1', 'car20')",
	"SELECT max(at::text COLLATE \"C\") FROM m",
);
my @others = (
	'SELECT a.word, (SELECT count(*) FROM m b WHERE b.id > a.id) FROM (SELECT word, max(id) - 4 AS id FROM m GROUP BY word) a',
	'WITH w AS MATERIALIZED (SELECT code, sum(n) AS n FROM m GROUP BY code) SELECT a.code, b.n FROM w a JOIN w b USING (code)',
	'SELECT count(*) FROM m UNION ALL SELECT sum(id) FROM m UNION ALL (SELECT id FROM m ORDER BY car, id LIMIT 1)',
	'SELECT x, k.c FROM generate_series(1, 3) x, LATERAL (SELECT count(*) AS c FROM m WHERE id = x) k',
	'SELECT car, id FROM m UNION ALL SELECT car, -id FROM m ORDER BY 2, 1 LIMIT 7',
	'SELECT word, sum(count(*)) OVER (ORDER BY word COLLATE "C") FROM m GROUP BY word',
	'SET enable_hashagg = off; SELECT id, avg(n), count(*) FROM m GROUP BY id; RESET enable_hashagg',
	'SET plan_cache_mode = force_generic_plan; PREPARE q (int, text) AS SELECT id % 3 + $1, count(*), sum(n + $1) FROM m WHERE id > $1 AND code <> $2 GROUP BY 1; ' .
		'EXECUTE q (2, \'code 1\'); EXECUTE q (5, \'code 2\'); EXECUTE q (NULL, NULL); DEALLOCATE q',
	'SET plan_cache_mode = force_generic_plan; PREPARE q (int) AS SELECT count(*) FROM (SELECT FROM m WHERE id > $1 LIMIT $1) x; EXECUTE q (3); EXECUTE q (1)',
	'BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR SELECT code, count(*) FROM m GROUP BY code ORDER BY code; FETCH 2 FROM c; SELECT count(*) FROM m; FETCH 3 FROM c; COMMIT',
	'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SELECT code, count(*), avg(n) FROM m GROUP BY code',
	'SET force_parallel_mode = on; SELECT count(*), sum(b) FROM m',
	'CREATE VIEW pg_temp.v AS SELECT * FROM m WHERE ok; SELECT word, count(*) FROM pg_temp.v GROUP BY word',
	"SELECT count(*) FILTER (WHERE n = 'NaN') FROM m",
	'SELECT count(*), max(id) FROM m GROUP BY ()',
	'SET enable_seqscan = off; SELECT max(at) FROM m; SELECT min(at) FROM m WHERE ok; RESET enable_seqscan',
);

my @all = (@pushed, @limited, @here, @others);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $script = "$dir/all.sql";
PostgreSQL::Test::Utils::append_to_file($script, join '', map { "$_;\n\\echo == end\n" } @all);

sub sorted { my ($text) = @_; return join "\n", sort split /\n/, $text; }
# What each of all queries gives, in one session.
sub answers {
	my ($node, $database) = @_;
	my $got = '';
	IPC::Run::run([ 'psql', '-XAtq', '-d', $f->node($node)->connstr($database), '-f', $script ], '>', \$got, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return map { sorted($_) } split /^== end\n/m, $got, -1;
}
my @expected = answers('c1', 'plain');
is(scalar(grep { /ERROR/ } @expected), 0, 'plain tables answer them all') or diag(grep { /ERROR/ } @expected);
sub all_equal {
	my ($when) = @_;
	for my $n (@nodes) {
		my @got = answers($n, 'postgres');
		my @wrong = grep { $got[$_] ne $expected[$_] } 0 .. $#all;
		is(scalar(@wrong), 0, "$when, $n: all is as in the plain table") or diag("$all[$wrong[0]]\ngave\n$got[$wrong[0]]\nnot\n$expected[$wrong[0]]");
	}
	return;
}
sub plan_of { my ($n, $sql) = @_; return $f->sql($n, "EXPLAIN (VERBOSE, COSTS off) $sql"); }

like(plan_of('e1', $_), qr/Remote SQL: SELECT (DISTINCT .* FROM|.*(count|sum|state15|min|bool_and)\w*\(|.*GROUP BY)/, "goes to the homes: $_") for @pushed;
like(plan_of('e1', $_), qr/Remote SQL: .* LIMIT \d+/, "its LIMIT goes to the homes: $_") for @limited;
unlike(plan_of('e1', $_), qr/Remote SQL: SELECT (DISTINCT|.*(count|sum|state15|min|max)\w*\(|.*GROUP BY|.* LIMIT)/, "stays here: $_") for @here;
like(plan_of('e1', 'SELECT at, id FROM m ORDER BY at DESC, id LIMIT 2'), qr/ORDER BY \(t\.at\) DESC NULLS FIRST, \(t\.id\) NULLS LAST LIMIT 2$/, 'the order as SQL');
like($f->sql('e1', 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT count(*) FROM m'), qr/rows=2 .*Nodes Asked: c1 \(rows=1\), c2 \(rows=1\)/s, 'two homes, two rows');
$f->sql('e1', 'ANALYZE vectorshard.client; ANALYZE vectorshard.resident');
unlike(plan_of('e1', 'SELECT a.car, b.v FROM m a JOIN strict b USING (car, id)'), qr/Nested Loop/, 'no home is asked row by row for what all are');
all_equal('at home');

# Copies, one of them on two nodes.
ok($f->bring('e1', "car$_"), "car$_ is copied to e1") for 2, 3, 15;
ok($f->bring('e2', "car$_"), "car$_ is copied to e2") for 3, 20;
ok($f->bring('c1', 'car14'), 'car14 is copied to c1');
all_equal('copied');

# Cold, at two homes; another home.
$f->sql('c1', "SELECT vectorshard.create_store('shelf', 'file://$dir')");
$f->poll('c2', q{SELECT count(*) FROM vectorshard.store WHERE store = 'shelf'}, '1', 'c2 knows the store');
for ([ 'c1', 'car5' ], [ 'c1', 'car6' ], [ 'c2', 'car17' ]) {
	my ($home, $car) = @$_;
	$f->sql($home, "SELECT vectorshard.move_to_cold('$car')");
	$f->poll($home, "SELECT count(*) > 0 FROM vectorshard.cold_client WHERE client = '$car'", 't', "$car is cold");
}
all_equal('cold');

sub move_home {
	my ($car, $from, $to) = @_;
	$f->sql($from, "SELECT vectorshard.move_home('$car', '$to')");
	for my $n (@nodes) {
		$f->poll($n, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'", $to, "$n knows the new home of $car");
	}
	return;
}
move_home('car7', 'c1', 'c2');
move_home('car3', 'c1', 'c2');
all_equal('with homes moved');

# A snapshot and a kept plan of before.
my $counts = 'SELECT count(*), count(n), sum(id), sum(i) FROM m';
my $whole = truth($counts);
my ($old, $older) = map { Session->new($f->node($_)) } 'c1', 'e1';
$_->ask("SET plan_cache_mode = force_generic_plan; PREPARE k AS $counts; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM ONLY m LIMIT 1") for $old, $older;
move_home('car9', 'c1', 'c2');
ok($f->bring('e1', 'car10'), 'car10 is copied to e1');
ok($f->send_away('e1', 'car2'), 'car2 leaves e1');
$f->sql('c1', "SELECT vectorshard.move_to_hot('car5')");
is($_->ask('EXECUTE k'), $whole, 'in a snapshot from before homes and copies moved') for $old, $older;
is($_->ask('COMMIT; EXECUTE k'), $whole, 'after it') for $old, $older;
$_->finish for $old, $older;

# A home that moves while readers read, where it was and at a third node that holds a copy.
ok($f->bring('e1', 'car11'), 'car11 is copied to e1');
my @readers = map { Session->new($f->node($_)) } 'c1', 'e1';
my ($wrong, $reads) = ('', 0);
for my $round (1 .. 4) {
	my $to = $round % 2 ? 'c2' : 'c1';
	my $from = $round % 2 ? 'c1' : 'c2';
	$f->sql($from, "SELECT vectorshard.move_home('car11', '$to')");
	my $moved = 0;
	for (1 .. 400) {
		for my $r (@readers) {
			my $got = $r->ask($counts);
			$reads++;
			$wrong .= "$got; " if $got ne $whole;
		}
		last if $moved++ > 2;
		$moved = 0 if $f->sql($to, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = 'car11'") ne $to;
	}
	$f->poll($from, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = 'car11'", $to, "round $round: car11 moved to $to");
}
is($wrong, '', "$reads reads while a home moves");
$_->finish for @readers;

# A transaction sees what it wrote, here and elsewhere.
my $write = 'BEGIN; UPDATE m SET n = 1000, word = \'new\' WHERE car IN (\'car1\', \'car2\', \'car13\', \'car20\') AND id < 4; DELETE FROM m WHERE id = 5; SELECT count(*), sum(n) FROM m; '
  . 'SELECT word, count(*) FROM m GROUP BY word; SELECT DISTINCT word FROM m; SELECT car, id FROM m ORDER BY n DESC, car, id LIMIT 3; ROLLBACK';
is(sorted($f->sql($_, $write)), sorted(truth($write)), "$_ sees what it wrote") for @nodes;

# More clients here than a node is told for rows (10,000): of states it is told all.
is($f->sql('e1', "BEGIN; INSERT INTO vectorshard.resident (client, generation) SELECT 'nobody ' || i, 1 FROM generate_series(1, 20000) i; $counts; SELECT count(DISTINCT car) FROM m; ROLLBACK"),
	"$whole\n24", 'with many clients here');

# Row security: a condition that may tell what it sees does not go before the policy.
$f->sql('e1', q{CREATE ROLE guest; GRANT SELECT ON m TO guest; ALTER TABLE m ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON m USING (id > 2)});
my $seen = truth('SELECT count(*), sum(id) FROM m WHERE id > 2 AND n > 4');
is($f->sql('e1', 'SET ROLE guest; SELECT count(*), sum(id) FROM m WHERE n > 4'), $seen, 'with row security');
is($f->sql('e1', 'SET ROLE guest; SELECT count(*) FROM m'), truth('SELECT count(*) FROM m WHERE id > 2'), 'all that it shows');
like(plan_of('e1', 'SELECT count(*) FROM m'), qr/count\(\*\) FROM/, 'its owner asks the homes');
like($f->error_of('e1', 'SET ROLE guest; SELECT vectorshard.state15_int4_accum(1)'), qr/42501/, 'states are not for users');
$f->sql('e1', q{DROP POLICY p ON m; ALTER TABLE m DISABLE ROW LEVEL SECURITY; DROP OWNED BY guest; DROP ROLE guest});

# Scopes, and a home that is away.
is($f->sql('e1', "SET vectorshard.read_scope = local; $counts"), $f->sql('e1', 'SELECT count(*), count(n), sum(id), sum(i) FROM ONLY m'), 'read_scope = local');
is($f->sql('e1', 'SET vectorshard.read_scope = local; SELECT DISTINCT word FROM m ORDER BY 1'), $f->sql('e1', 'SELECT DISTINCT word FROM ONLY m ORDER BY 1'), 'of DISTINCT');
$f->node('c2')->stop('fast');
like($f->error_of('e1', $_), qr/08001: node "c2" cannot be reached/, "a home that is away: $_") for $counts, 'SELECT DISTINCT word FROM m', 'SELECT car, id FROM m ORDER BY id, car LIMIT 2';
my $left = join ', ', map { "'$_'" } split /\n/, $f->sql('e1', q{SELECT client FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE n.name = 'c1' UNION SELECT client FROM vectorshard.resident ORDER BY 1});
for my $q ($counts, 'SELECT word, sum(n) FROM m WHERE true GROUP BY word', 'SELECT DISTINCT code FROM m WHERE true', 'SELECT car, id FROM m WHERE true ORDER BY id, car LIMIT 8') {
	my ($rc, $out, $err) = $f->node('e1')->psql('postgres', "SET vectorshard.on_unreachable = warn; $q");
	(my $of_those = $q) =~ s/FROM m( WHERE true)?/FROM m WHERE car IN ($left)/;
	is(sorted($out), sorted(truth($of_those)), "without it, by warn: $q");
	like($err, qr/WARNING: .*"c2"/, 'which names it');
}
$f->node('c2')->start;
all_equal('with it back');
done_testing();
