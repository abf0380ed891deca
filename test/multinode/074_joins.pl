# Topology: core c1, c2, edges e1, e2.
# Proves: joins of vector-shard tables by the client, and with reference tables, that homes make of their own rows give what plain tables give,
# wherever clients are resident, copied, cold or moved to, and what a session wrote; what is not surely the same is not sent; what one may not see
# tells nothing; an absent home is an error or a warning.
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
my $schema = q{CREATE TABLE kind (kind int PRIMARY KEY, name text, code char(6) COLLATE "C", rate numeric(6, 2), since timestamptz, tags text[], odd "char");
CREATE TABLE color (color text PRIMARY KEY, shade int);
CREATE TABLE car (car text COLLATE "C" PRIMARY KEY, kind int, color text, built date);
CREATE TABLE trip (car text COLLATE "C", id int, km numeric, kind int, at timestamptz, note text, PRIMARY KEY (car, id));
CREATE TABLE stop (car text COLLATE "C", id int, nr int, place text, fee numeric, PRIMARY KEY (car, id, nr));
CREATE TABLE purse (car text COLLATE "C" PRIMARY KEY, cents int);
CREATE TABLE toll (car text COLLATE "C", id int, cents int, PRIMARY KEY (car, id));
CREATE TYPE mood AS ENUM ('well', 'ill');
CREATE TABLE state (car text COLLATE "C" PRIMARY KEY, mood mood);};
my $reference = q{INSERT INTO kind SELECT k, CASE k WHEN 3 THEN NULL WHEN 4 THEN E'it''s "4" \\\\ {x}, ä' ELSE 'kind ' || k END, 'k' || k % 3, k * 1.25, timestamptz '2026-01-01 00:00Z' + k * interval '1 day 3 h',
  CASE WHEN k <> 2 THEN ARRAY['a', NULL, 'b,"' || k] END, chr(65 + k)::"char" FROM generate_series(0, 6) k;
INSERT INTO color SELECT c, length(c) FROM unnest('{red,green,blue,white}'::text[]) c;};
sub rows_of {
	my ($c) = @_;
	return qq{INSERT INTO car SELECT 'car' || c, nullif(c % 8, 7), (ARRAY['red', 'green', 'blue', 'black'])[1 + c % 4], date '2020-01-01' + c * 20 FROM generate_series(1, 24) c WHERE $c;
INSERT INTO trip SELECT 'car' || c, i, CASE WHEN (c + i) % 7 > 0 THEN c * i / 4.0 END, (c + i) % 9, timestamptz '2026-01-01 00:00Z' + (c * 31 + i * 17) % 97 * interval '7 minutes',
  CASE WHEN i % 3 > 0 THEN 'note ' || (c * i) % 5 END FROM generate_series(1, 25) c, generate_series(1, 8) i WHERE c % 6 > 0 AND $c;
INSERT INTO stop SELECT 'car' || c, i, n, 'place ' || (c + n) % 5, CASE WHEN n < 3 THEN c + n END FROM generate_series(1, 24) c, generate_series(1, 10, 2) i, generate_series(1, 3) n WHERE c % 5 > 0 AND $c;
INSERT INTO purse SELECT 'car' || c, c * 7 FROM generate_series(1, 24) c WHERE c % 3 > 0 AND $c;
INSERT INTO toll SELECT 'car' || c, i, c * i FROM generate_series(1, 24) c, generate_series(1, 3) i WHERE c % 4 > 0 AND $c;
INSERT INTO state SELECT 'car' || c, (CASE WHEN c % 2 = 0 THEN 'well' ELSE 'ill' END)::mood FROM generate_series(1, 24) c WHERE $c};
}
$f->sql('c1', 'CREATE DATABASE plain');
sub truth { my ($sql) = @_; return $f->node('c1')->safe_psql('plain', $sql); }
truth($schema . $reference . rows_of('true'));
$f->sql($_, q{CREATE TYPE mood AS ENUM ('well', 'ill')}) for @nodes[ 1 .. 3 ];
$f->sql('c1', $schema);
$f->sql('c1', "SELECT vectorshard.create_reference_table('$_')") for 'kind', 'color';
$f->sql('c1', "SELECT vectorshard.create_vector_shard_table('$_', 'car')") for 'car', 'trip', 'stop', 'state';
$f->sql('c1', "SELECT vectorshard.create_vector_shard_table('$_', 'car', consistency => 'home')") for 'purse', 'toll';
$f->sql('c1', $reference);
for my $n (@nodes) {
	$f->poll($n, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before'
	  AND tgrelid = ANY (ARRAY[to_regclass('car'), to_regclass('trip'), to_regclass('stop'), to_regclass('state'), to_regclass('purse'), to_regclass('toll')])}, '6', "$n has the tables");
	$f->poll($n, 'SELECT (SELECT count(*) FROM kind) + (SELECT count(*) FROM color)', '11', "$n has the reference rows");
}
$f->sql('c1', rows_of('c <= 12'));
$f->sql('c2', rows_of('c > 12'));
$f->poll($_, q{SELECT count(*) FROM vectorshard.client}, '25', "$_ knows all clients") for @nodes;
$f->sql($_, 'ANALYZE') for @nodes;

my @grouped = (    # their answers, not rows, come from the homes
	'SELECT k.name, count(*), avg(t.km) FROM trip t JOIN car c USING (car) JOIN kind k ON k.kind = c.kind GROUP BY 1',
	'SELECT count(*) FROM trip t JOIN car c ON t.car = c.car',
	'SELECT count(*), sum(s.fee), max(t.at) FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id WHERE t.km > 3',
	'SELECT c.color, count(*), count(t.km), sum(t.km) FROM car c LEFT JOIN trip t ON t.car = c.car AND t.id > 3 GROUP BY c.color',
	'SELECT c.color, count(k.kind), min(k.rate), max(k.since) FROM car c LEFT JOIN kind k ON k.kind = c.kind AND k.rate > 2 GROUP BY c.color',
	'SELECT count(*), count(t.car), count(s.car), sum(t.km), sum(s.fee) FROM trip t FULL JOIN stop s ON s.car = t.car AND s.id = t.id AND s.nr = 1',
	'SELECT count(*), sum(t.id) FROM (SELECT * FROM trip WHERE id > 2) t FULL JOIN (SELECT * FROM stop WHERE nr = 2) s ON s.car = t.car AND s.id = t.id',
	'SELECT t.id, count(*) FROM trip t WHERE EXISTS (SELECT FROM stop s WHERE s.car = t.car AND s.id = t.id AND s.fee > 10) GROUP BY t.id',
	'SELECT count(*), sum(km) FROM trip t WHERE NOT EXISTS (SELECT FROM stop s WHERE s.car = t.car AND s.id = t.id)',
	'SELECT count(*) FROM trip t WHERE t.car IN (SELECT car FROM car WHERE color = \'red\')',
	'SELECT count(*) FROM trip t WHERE EXISTS (SELECT FROM kind k WHERE k.kind = t.kind AND k.code = \'k1\')',
	'SELECT count(*) FROM trip t WHERE NOT EXISTS (SELECT FROM kind k WHERE k.kind = t.kind)',
	'SELECT count(*) FROM trip t LEFT JOIN stop s ON s.car = t.car AND s.id = t.id WHERE s.car IS NULL',
	'SELECT count(*), sum(a.id * b.id) FROM trip a JOIN trip b ON a.car = b.car AND a.id < b.id',
	'SELECT o.shade, k.kind, count(*) FROM car c JOIN color o USING (color) JOIN kind k ON k.kind = c.kind GROUP BY 1, 2 HAVING count(*) > 0',
	'SELECT o.shade, k.kind, sum(t.km), count(s.fee) FROM car c JOIN color o USING (color) LEFT JOIN kind k ON k.kind = c.kind JOIN trip t ON t.car = c.car LEFT JOIN stop s ON s.car = c.car AND s.id = t.id AND s.nr < 3 GROUP BY 1, 2',
	'SELECT count(*) FROM trip t CROSS JOIN color o',
	'SELECT count(*) FROM trip t JOIN kind k ON k.rate > t.km AND k.odd = \'C\'',
	'SELECT count(*), count(k.tags) FROM car c JOIN kind k USING (kind) WHERE k.tags IS NOT NULL AND k.since > \'2026-01-03\'',
	'SELECT coalesce(t.car, s.car), count(*) FROM trip t FULL JOIN stop s ON t.car = s.car AND t.id = s.id GROUP BY 1',
	'SELECT count(*), sum(p.cents + l.cents) FROM purse p JOIN toll l USING (car)',
	'SELECT k.kind, sum(l.cents) FROM purse p LEFT JOIN toll l USING (car) JOIN kind k ON k.kind = p.cents % 7 GROUP BY 1',
	'SELECT count(*) FROM toll l WHERE NOT EXISTS (SELECT FROM purse p WHERE p.car = l.car AND p.cents > 70)',
	'SELECT c.color, count(DISTINCT t.kind), count(DISTINCT k.rate) FROM car c LEFT JOIN trip t USING (car) JOIN kind k ON k.kind = c.kind GROUP BY 1',
	'SELECT DISTINCT k.name, c.color FROM car c JOIN kind k USING (kind)',
	'SELECT DISTINCT t.kind FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id WHERE s.nr = 2 ORDER BY 1 LIMIT 4',
	'SELECT c.color, (SELECT count(*) FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id WHERE t.id > c.shade) FROM color c',
	'SELECT count(*) FROM trip t JOIN (kind k JOIN color o ON o.shade = k.kind) ON k.kind = t.kind',
	'SELECT count(*) FROM trip t LEFT JOIN (kind k JOIN color o ON o.shade = k.kind) ON k.kind = t.kind WHERE t.id < 6',
	'SELECT count(*) FROM (trip t LEFT JOIN stop s ON s.car = t.car AND s.id = t.id) LEFT JOIN car c ON c.car = s.car AND c.color <> \'red\' WHERE coalesce(s.nr, 1) < 3',
);
my @joined = (    # rows of the join come from the homes
	'SELECT t.car, t.id, s.place FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id WHERE s.fee < 6',
	'SELECT t.car, t.id, k.name, k.code, k.rate, k.since, k.tags, k.odd FROM trip t JOIN kind k USING (kind) WHERE t.id = 2',
	'SELECT c.car, k.name FROM car c LEFT JOIN kind k USING (kind)',
	'SELECT t.car, t.id FROM trip t WHERE EXISTS (SELECT FROM stop s WHERE s.car = t.car AND s.id = t.id)',
	'SELECT t.car, t.id FROM trip t WHERE NOT EXISTS (SELECT FROM stop s WHERE s.car = t.car AND s.id = t.id) AND t.km > 2',
	'SELECT t.car, t.id, s.nr FROM trip t FULL JOIN stop s ON s.car = t.car AND s.id = t.id AND s.nr = 2 WHERE coalesce(t.id, 9) > 6',
	'SELECT c.car, s.mood FROM car c JOIN state s USING (car) WHERE c.color = \'red\'',
	'SELECT 1 FROM car c JOIN state s USING (car)',
	'SELECT p.car, p.cents, l.cents FROM purse p JOIN toll l USING (car) WHERE l.id = 2',
	'SELECT c.car, t.id, string_agg(k.name, \',\' ORDER BY k.kind) FROM car c JOIN trip t USING (car) JOIN kind k ON k.kind = t.kind WHERE t.id = 1 GROUP BY 1, 2',
	'SELECT count(DISTINCT s.place), count(*) FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id',
	'SELECT c.car, x.n FROM car c JOIN (VALUES (1, \'red\'), (2, \'blue\')) x (n, color) USING (color) JOIN state s ON s.car = c.car',
);
my @limited = (
	'SELECT t.car, t.id, s.nr FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id ORDER BY t.km DESC NULLS LAST, t.car, t.id, s.nr LIMIT 7',
	'SELECT t.car, t.id, k.kind FROM trip t JOIN kind k USING (kind) ORDER BY k.kind DESC, t.car, t.id LIMIT 5 OFFSET 3',
	'SELECT count(*) FROM (SELECT FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id LIMIT 11) x',
);
my @here = (
	'SELECT k.kind, count(t.car) FROM kind k LEFT JOIN trip t ON t.kind = k.kind GROUP BY 1',
	'SELECT count(*) FROM kind k FULL JOIN car c ON c.kind = k.kind',
	'SELECT k.kind FROM kind k WHERE EXISTS (SELECT FROM trip t WHERE t.kind = k.kind)',
	'SELECT k.kind FROM kind k WHERE NOT EXISTS (SELECT FROM trip t WHERE t.kind = k.kind)',
	'SELECT count(*) FROM trip t JOIN stop s ON s.id = t.id AND s.car <> t.car',
	'SELECT count(*) FROM trip t JOIN stop s ON s.car = t.car OR s.id = t.id',
	'SELECT count(*) FROM car c JOIN purse p USING (car)',
	'SELECT count(*) FROM trip t JOIN vectorshard.client h ON h.client = t.car',
	'SELECT count(*) FROM trip t JOIN stop s ON s.car = t.car AND s.id = t.id + (random() * 0)::int',
	"SELECT count(*) FROM trip t JOIN stop s USING (car) WHERE t.car = 'car3'",
	"SELECT count(*) FROM trip t JOIN stop s USING (car) WHERE t.car IN ('car3', 'car20')",
	'SELECT t.car, t.id FROM trip t JOIN stop s USING (car, id) WHERE s.nr = 1 FOR UPDATE OF t',
	'SELECT count(t) FROM trip t JOIN stop s USING (car, id)',
	'SELECT count(*) FROM trip t JOIN stop s USING (car, id) WHERE t.note < s.place',
	'SELECT count(*) FROM trip t LEFT JOIN (SELECT car, id, coalesce(place, \'none\') AS p FROM stop) s USING (car, id) WHERE p IS DISTINCT FROM \'none\'',
);
my @others = (
	'SET plan_cache_mode = force_generic_plan; PREPARE q (int, text) AS SELECT k.name, count(*) + $1, sum(t.km + $1) FROM trip t JOIN kind k USING (kind) WHERE t.id > $1 AND k.name <> $2 GROUP BY 1; ' .
		'EXECUTE q (2, \'kind 1\'); EXECUTE q (5, \'kind 2\'); EXECUTE q (NULL, NULL); DEALLOCATE q; RESET plan_cache_mode',
	'BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR SELECT c.color, count(*) FROM car c JOIN trip t USING (car) GROUP BY 1 ORDER BY 1; FETCH 2 FROM c; SELECT count(*) FROM trip t JOIN stop s USING (car, id); FETCH 3 FROM c; COMMIT',
	'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SELECT c.color, count(*), avg(t.km) FROM car c JOIN trip t USING (car) GROUP BY 1',
	'SET force_parallel_mode = on; SELECT count(*), sum(t.km) FROM trip t JOIN stop s USING (car, id); RESET ALL',
	'SET enable_hashjoin = off; SELECT c.color, count(*) FROM car c LEFT JOIN trip t USING (car) GROUP BY 1; SET enable_mergejoin = off; SELECT count(*) FROM trip t JOIN stop s USING (car, id); RESET ALL',
	'SET geqo_threshold = 2; SELECT k.name, count(*), sum(s.fee) FROM trip t JOIN car c USING (car) JOIN kind k ON k.kind = c.kind JOIN stop s ON s.car = c.car AND s.id = t.id GROUP BY 1; RESET geqo_threshold',
	'SELECT count(*) FROM trip t JOIN stop s USING (car, id) UNION ALL SELECT count(*) FROM trip t JOIN kind k USING (kind) UNION ALL SELECT id FROM (SELECT t.id FROM trip t JOIN stop s USING (car, id) ORDER BY t.car, t.id, s.nr LIMIT 1) x',
	'SELECT x, k.c FROM generate_series(1, 3) x, LATERAL (SELECT count(*) AS c FROM trip t JOIN stop s USING (car, id) WHERE t.id = x) k',
	'WITH w AS MATERIALIZED (SELECT c.kind, sum(t.km) AS km FROM car c JOIN trip t USING (car) GROUP BY 1) SELECT a.kind, b.km FROM w a JOIN w b ON a.kind = b.kind',
	'CREATE TEMP TABLE kept AS SELECT t.car, s.nr FROM trip t JOIN stop s USING (car, id); SELECT count(*), sum(nr) FROM kept; INSERT INTO kept SELECT c.car, k.kind FROM car c JOIN kind k USING (kind); SELECT count(*), sum(nr) FROM kept; DROP TABLE kept',
	'SELECT t.id, x.n FROM trip t JOIN car c USING (car) JOIN LATERAL (SELECT count(*) AS n FROM stop s WHERE s.car = t.car AND s.id = t.id) x ON true WHERE c.color = \'red\'',
	'SELECT t.id, s.nr, count(*) FROM trip t JOIN stop s USING (car, id) GROUP BY ROLLUP (1, 2)',
	'SELECT t.car, rank() OVER (ORDER BY t.car, t.id, s.nr) FROM trip t JOIN stop s USING (car, id)',
	'BEGIN; INSERT INTO kind VALUES (7, \'new\', \'k7\', 1, NULL, NULL, NULL); UPDATE kind SET name = \'other\' WHERE kind = 1; DELETE FROM kind WHERE kind = 2; SELECT k.name, count(*) FROM trip t JOIN kind k USING (kind) GROUP BY 1; ' .
		'SELECT count(*) FROM trip t WHERE NOT EXISTS (SELECT FROM kind k WHERE k.kind = t.kind); DELETE FROM color; SELECT count(*) FROM car c LEFT JOIN color o USING (color) WHERE o.color IS NULL; ROLLBACK',
);

my @all = (@grouped, @joined, @limited, @here, @others);
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
my @failed = grep { $expected[$_] =~ /ERROR/ && $all[$_] !~ /vectorshard/ } 0 .. $#all;
is(scalar(@failed), 0, 'plain tables answer them all') or diag("$all[$failed[0]]\n$expected[$failed[0]]");
sub all_equal {
	my ($when) = @_;
	for my $n (@nodes) {
		my @got = answers($n, 'postgres');
		my @wrong = grep { $got[$_] ne $expected[$_] && $all[$_] !~ /vectorshard/ } 0 .. $#all;
		is(scalar(@wrong), 0, "$when, $n: all is as in plain tables") or diag("$all[$wrong[0]]\ngave\n$got[$wrong[0]]\nnot\n$expected[$wrong[0]]");
	}
	return;
}
sub plan_of { my ($n, $sql) = @_; return $f->sql($n, "EXPLAIN (VERBOSE, COSTS off) $sql"); }

my $two_tables = qr/FROM .*\bpublic\.\w+ t1.*\bpublic\.\w+ t2/;
like(plan_of('e1', $_), qr/Remote SQL: SELECT (DISTINCT .*|.*(count|sum|state15|min)\w*\(.*|.*)$two_tables/, "goes to the homes: $_") for @grouped;
unlike(plan_of('e1', $_), qr/Remote SQL: SELECT (?!DISTINCT)(?!.*(count|sum|state15|min)\w*\()(?!.*GROUP BY)/, "no rows are asked for: $_") for @grouped;
like(plan_of('e1', $_), qr/Remote SQL: SELECT .*$two_tables/, "the join goes to the homes: $_") for @joined;
unlike(plan_of('e1', $_), qr/Remote SQL: .*FROM public\.\w+ t WHERE/, "and no table alone: $_") for @grouped, @joined;
like(plan_of('e1', $_), qr/Remote SQL: .*$two_tables.* LIMIT \d+/, "its LIMIT goes to the homes: $_") for @limited;
unlike(plan_of('e1', $_), qr/Remote SQL: .*public\.\w+ t2/, "stays here: $_") for @here;
like($f->sql('e1', "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) $grouped[0]"), qr/Nodes Asked: c1 \(rows=6\), c2 \(rows=6\)/, 'of a grouped join come groups');
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
my $counts = 'SELECT count(*), count(s.car), sum(t.id), sum(s.fee) FROM trip t LEFT JOIN stop s USING (car, id)';
my $whole = truth($counts);
my ($old, $older) = map { Session->new($f->node($_)) } 'c1', 'e1';
$_->ask("SET plan_cache_mode = force_generic_plan; PREPARE k AS $counts; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM ONLY trip LIMIT 1") for $old, $older;
move_home('car9', 'c1', 'c2');
ok($f->bring('e1', 'car10'), 'car10 is copied to e1');
ok($f->send_away('e1', 'car2'), 'car2 leaves e1');
$f->sql('c1', "SELECT vectorshard.move_to_hot('car5')");
is($_->ask('EXECUTE k'), $whole, 'in a snapshot from before homes and copies moved') for $old, $older;
is($_->ask('COMMIT; EXECUTE k'), $whole, 'after it') for $old, $older;
$_->finish for $old, $older;

# A transaction sees what it wrote, here and elsewhere.
my $write = 'BEGIN; UPDATE trip SET km = 1000, kind = 3 WHERE car IN (\'car1\', \'car2\', \'car13\', \'car20\') AND id < 4; DELETE FROM stop WHERE id = 5; ' .
	"$counts; $grouped[0]; $grouped[9]; ROLLBACK";
is(sorted($f->sql($_, $write)), sorted(truth($write)), "$_ sees what it wrote") for @nodes;

# Changes with a join in them, and what is evaluated anew after a concurrent change.
my $change = q{BEGIN; WITH u AS (UPDATE trip t SET km = s.fee FROM stop s JOIN car c ON c.car = s.car WHERE s.car = t.car AND s.id = t.id AND s.nr = 1 AND c.color = 'red' RETURNING t.car, t.id, t.km) SELECT * FROM u;
  WITH d AS (DELETE FROM stop s USING trip t, kind k WHERE t.car = s.car AND t.id = s.id AND k.kind = t.kind AND k.code = 'k1' RETURNING s.car, s.id, s.nr) SELECT * FROM d; ROLLBACK};
is(sorted($f->sql($_, $change)), sorted(truth($change)), "$_ changes by a join") for @nodes;
$f->sql('e1', 'CREATE TABLE total (id int PRIMARY KEY, n bigint); INSERT INTO total VALUES (1, 0)');
my $anew = 'UPDATE total SET n = n + (SELECT count(*) FROM trip t JOIN stop s USING (car, id) WHERE t.id <> total.id) RETURNING n';
like(plan_of('e1', $anew), qr/Remote SQL: SELECT count.*$two_tables/, 'a join in a subquery of a change goes to the homes');
my $first = Session->new($f->node('e1'));
$first->ask('BEGIN; UPDATE total SET n = 7');
my $again = '';
my $second = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('e1')->connstr('postgres'), '-c',
	$anew ], '>', \$again, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$f->poll('e1', q{SELECT count(*) FROM pg_locks WHERE NOT granted}, '1', 'one waits for the other');
$first->ask('COMMIT');
$second->finish;
is($again, 7 + truth('SELECT count(*) FROM trip t JOIN stop s USING (car, id) WHERE t.id <> 1') . "\n", 'a join in what is evaluated anew');
$first->finish;

# Row security and privileges: a condition that may tell what it sees does not go before the policy.
$f->sql('e1', q{CREATE ROLE guest; GRANT SELECT ON trip, kind, car TO guest; GRANT SELECT (car, id, nr) ON stop TO guest; ALTER TABLE trip ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON trip USING (id > 2);
  ALTER TABLE kind ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON kind USING (kind <> 4)});
for my $q ('SELECT count(*), sum(t.id) FROM trip t JOIN stop s USING (car, id) WHERE t.km > 4 AND true', 'SELECT k.kind, count(*) FROM trip t JOIN kind k USING (kind) WHERE true GROUP BY 1',
	'SELECT count(*) FROM trip t LEFT JOIN kind k ON k.kind = t.kind WHERE k.kind IS NULL AND true') {
	(my $seen = $q) =~ s/true/t.id > 2/;
	$seen =~ s/kind k/(SELECT * FROM kind WHERE kind <> 4) k/;
	is(sorted($f->sql('e1', "SET ROLE guest; $q")), sorted(truth($seen)), "row security: $q");
}
$f->sql('e1', q{CREATE FUNCTION leak(numeric) RETURNS boolean IMMUTABLE COST 0.0000001 LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END$$});
unlike($f->sql('e1', 'SET ROLE guest; EXPLAIN (VERBOSE) SELECT count(*) FROM trip t JOIN stop s USING (car, id) WHERE leak(t.km)'), qr/Remote SQL:.*leak/, 'functions of users are not sent');
my $error = $f->error_of('e1', 'SET ROLE guest; SELECT count(*) FROM trip t JOIN stop s USING (car, id) WHERE 1 / (t.id - s.nr * 2) > 5');
unlike($f->sql('e1', 'SET ROLE guest; EXPLAIN (VERBOSE) SELECT count(*) FROM trip t JOIN stop s USING (car) WHERE 1 / (t.id - s.id - 1) > 5'), qr/Remote SQL:.* t2/, 'nor what may fail by hidden rows');
like($f->error_of('e1', 'SET ROLE guest; SELECT sum(s.fee) FROM trip t JOIN stop s USING (car, id)'), qr/42501: permission denied for table stop/, 'columns that are not granted');
$f->sql('e1', q{DROP POLICY p ON trip; DROP POLICY p ON kind; ALTER TABLE trip DISABLE ROW LEVEL SECURITY; ALTER TABLE kind DISABLE ROW LEVEL SECURITY; DROP OWNED BY guest; DROP ROLE guest; DROP FUNCTION leak});

# A reference row of which other nodes have not heard.
$f->node('c2')->stop('fast');
$f->sql('e1', q{INSERT INTO kind VALUES (8, 'late', 'k8', 8, NULL, NULL, NULL)});
truth(q{INSERT INTO kind VALUES (8, 'late', 'k8', 8, NULL, NULL, NULL)});
@expected = answers('c1', 'plain');

# Scopes, and a home that is away.
my @asked = ($counts, $grouped[0], $grouped[8], $joined[3], $limited[0], $grouped[24]);
is(sorted($f->sql('e1', "SET vectorshard.read_scope = local; $counts")), sorted($f->sql('e1', $counts =~ s/(FROM|JOIN) /$1 ONLY /gr)), 'read_scope = local');
like($f->error_of('e1', $_), qr/08001: node "c2" cannot be reached/, "a home that is away: $_") for @asked;
my $left = join ', ', map { "'$_'" } split /\n/, $f->sql('e1', q{SELECT client FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE n.name = 'c1' UNION SELECT client FROM vectorshard.resident ORDER BY 1});
for my $q (@asked) {
	my ($rc, $out, $err) = $f->node('e1')->psql('postgres', "SET vectorshard.on_unreachable = warn; $q");
	(my $of_those = $q) =~ s/(FROM|JOIN) (trip|stop|car) (\w)/$1 (SELECT * FROM $2 WHERE car IN ($left)) $3/g;
	is(sorted($out), sorted(truth($of_those)), "without it, by warn: $q");
	like($err, qr/WARNING: .*"c2"/, 'which names it');
}
$f->node('c2')->start;
is(sorted($f->sql('e1', $grouped[0])), $expected[0], 'at once when it is back, whatever it has heard of reference rows');
$f->poll($_, 'SELECT count(*) FROM kind', '8', "$_ hears of the row") for @nodes;
all_equal('with it back');
done_testing();
