# Topology: cores c1 and c2 (homes), edge e1 (asks).
# Proves: a nested loop that names clients one by one asks each node a few times for many of them, and gives the rows of a
# plain table: for clients here, at either home, cold, at nobody, null and repeated ones; inner, left, semi and anti joins;
# with LIMIT, in a subquery that runs again, in an older snapshot, while clients come; where a further condition comes from
# the outer row it asks row by row; rows that are locked are never read ahead; a home that dies is an error or a warning.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0\nvectorshard.link_timeout_ms = 2000");
$f->add_server('c2');
$f->join('c2', kind => 'core');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
                INSERT INTO trip SELECT 'car' || c, i, c || ' ' || i FROM generate_series(1, 40) c, generate_series(1, 3) i});
$f->poll('c2', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'c2 has the table');
$f->sql('c2', q{INSERT INTO trip SELECT 'car' || c, i, c || ' ' || i FROM generate_series(41, 80) c, generate_series(1, 3) i});
my $dir = PostgreSQL::Test::Utils::tempdir();
$f->sql('c1', "SELECT vectorshard.create_store('shelf', 'file://$dir')");
$f->sql('c1', q{SELECT vectorshard.move_to_cold('car7')});
$f->poll('c1', q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 'car7'}, '1', 'car7 is cold');
$f->poll('e1', q{SELECT count(*) FROM trip}, '240', 'e1 reads all rows');
ok($f->bring('e1', "car$_"), "car$_ is on e1") for (3, 50);
# The outer rows: of each client one or two, of some no rows, and nulls.
$f->sql('e1', q{CREATE TABLE fleet (n int, car text, id int);
  INSERT INTO fleet SELECT g, CASE WHEN g % 11 = 0 THEN NULL WHEN g % 13 = 0 THEN 'nobody' || g ELSE 'car' || (g * 7) % 80 END, 1 + g % 3 FROM generate_series(1, 120) g;
  CREATE TABLE plain AS SELECT * FROM trip; ALTER TABLE plain ADD PRIMARY KEY (car, id); ANALYZE fleet; ANALYZE plain});

my $s = Session->new($f->node('e1'));
sub ask { return $s->ask($_[0]); }
ask('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_memoize = off');
sub both {
	my ($sql, $what) = @_;
	(my $theirs = $sql) =~ s/\btrip\b/plain/g;
	my ($got, $expected) = (ask($sql), ask($theirs));
	is($got, $expected, $what);
	unlike($got, qr/ERROR/, 'without an error');
	return;
}
my $join = q{SELECT f.n, t.id, t.note FROM fleet f JOIN trip t ON t.car = f.car};
like(ask("EXPLAIN (COSTS OFF) $join"), qr/Nested Loop.*VectorShardLookAhead.*trip_elsewhere/s, 'the plan looks ahead');
both("$join ORDER BY 1, 2", 'an inner join');
both(q{SELECT f.n, t.id, t.note FROM fleet f LEFT JOIN trip t ON t.car = f.car ORDER BY 1, 2}, 'a left join');
both(q{SELECT f.n FROM fleet f WHERE EXISTS (SELECT FROM trip t WHERE t.car = f.car AND t.id > 2) ORDER BY 1}, 'a semi join');
both(q{SELECT f.n FROM fleet f WHERE NOT EXISTS (SELECT FROM trip t WHERE t.car = f.car) ORDER BY 1}, 'an anti join');
both(q{SELECT f.n, t.note FROM fleet f JOIN trip t ON t.car = f.car AND t.note LIKE '%2' WHERE f.n < 60 ORDER BY 1}, 'a condition of the table');
both(q{SELECT f.n, t.note FROM fleet f JOIN trip t ON t.car = f.car AND t.id = f.id ORDER BY 1}, 'a condition from the outer row');
both(q{SELECT f.n, t.note, u.note FROM fleet f JOIN trip t ON t.car = f.car JOIN trip u ON u.car = t.car AND u.id = 3 ORDER BY 1, 2}, 'two joins');
both(q{SELECT g, (SELECT string_agg(t.note, ',' ORDER BY f.n, t.id) FROM fleet f JOIN trip t ON t.car = f.car WHERE f.n BETWEEN g AND g + 12) FROM generate_series(1, 100, 9) g}, 'a subquery that runs again');
both(q{SELECT count(*) FROM (SELECT t.note FROM fleet f JOIN trip t ON t.car = f.car LIMIT 5) x}, 'LIMIT');
both(q{SELECT f.n, t.note FROM fleet f JOIN trip t ON t.car = lower(upper(f.car)) ORDER BY 1, 2}, 'an expression of the outer row');
both(q{SELECT f, t.note FROM fleet f JOIN trip t ON t.car = f.car ORDER BY f.n, 2}, 'whole outer rows');
ask(q{PREPARE p(int) AS SELECT f.n, t.note FROM fleet f JOIN trip t ON t.car = f.car WHERE f.n < $1 ORDER BY 1, 2; SET plan_cache_mode = force_generic_plan});
is(ask('EXECUTE p(30)'), ask(q{SELECT f.n, t.note FROM fleet f JOIN plain t ON t.car = f.car WHERE f.n < 30 ORDER BY 1, 2}), 'a kept plan');
is(ask('EXECUTE p(50)'), ask(q{SELECT f.n, t.note FROM fleet f JOIN plain t ON t.car = f.car WHERE f.n < 50 ORDER BY 1, 2}), 'and again');

# Fewer questions than clients: each is a cursor there, or a statement by itself.
sub questions { my ($n) = @_; return $f->sql($n, q{SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query ~ '^(DECLARE|PREPARE|SELECT) .*FROM public.trip t WHERE'}); }
for my $n ('c1', 'c2') {
	$f->node($n)->append_conf('postgresql.conf', "shared_preload_libraries = 'vectorshard, pg_stat_statements'\npg_stat_statements.track_utility = on");
	$f->node($n)->restart;
	$f->sql($n, 'CREATE EXTENSION pg_stat_statements');
}
is(ask("SELECT count(*) FROM ($join) x"), ask(q{SELECT count(*) FROM fleet f JOIN plain t ON t.car = f.car}), 'after a restart of the homes');
$f->sql($_, 'SELECT pg_stat_statements_reset()') for ('c1', 'c2');
ask("SELECT count(*) FROM ($join) x");
for my $n ('c1', 'c2') {
	my $asked = questions($n);
	cmp_ok($asked, '<=', 8, "$n is asked $asked times for its clients of 100 rows");
	cmp_ok($asked, '>=', 1, 'but not never');
}
ask(q{BEGIN; SELECT count(*) FROM (SELECT f.n FROM fleet f JOIN trip t ON t.car = f.car WHERE f.n < 12 FOR UPDATE OF t) x; ROLLBACK});
unlike(ask(q{EXPLAIN (COSTS OFF) SELECT f.n FROM fleet f JOIN trip t ON t.car = f.car FOR UPDATE OF t}), qr/LookAhead/, 'rows that are locked are not read ahead');
unlike(ask(q{EXPLAIN (COSTS OFF) UPDATE trip t SET note = 'x' FROM fleet f WHERE t.car = f.car}), qr/LookAhead/, 'nor rows that are changed');

# Clients come while the query runs in an older snapshot.
ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM fleet LIMIT 0');
ok($f->bring('e1', 'car21'), 'car21 comes');
ok($f->send_away('e1', 'car3'), 'car3 goes');
both("$join ORDER BY 1, 2", 'in a snapshot from before');
ask('COMMIT');
both("$join ORDER BY 1, 2", 'and after');
ask(q{BEGIN; UPDATE trip SET note = 'mine' WHERE car = 'car14' AND id = 1});
is(ask(q{SELECT DISTINCT t.note FROM fleet f JOIN trip t ON t.car = f.car WHERE f.car = 'car14' AND t.id = 1}), 'mine', 'own changes at the home');
is(ask(q{SELECT count(*) FROM fleet f JOIN trip t ON t.car = f.car WHERE t.note = 'mine'}), ask(q{SELECT count(*) FROM fleet WHERE car = 'car14'}), 'in a list of many');
ask('ROLLBACK');

$f->node('c2')->stop('immediate');
like(ask("SELECT count(*) FROM ($join) x"), qr/ERROR:  node "c2" cannot be reached/, 'a dead home: an error');
ask('SET vectorshard.on_unreachable = warn; SET client_min_messages = error');
is(ask("SELECT count(*) FROM ($join) x"), ask(q{SELECT count(*) FROM fleet f JOIN plain t ON t.car = f.car WHERE substr(t.car, 4)::int <= 40 OR t.car = 'car50'}), 'with a warning: what is left');
$s->finish;
done_testing();
