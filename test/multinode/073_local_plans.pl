# Topology: core c1, edge e1.
# Proves: a statement whose clients are named by constants or parameters and are all here is planned without the child, and gives the rows of a client
# that went away, or was not here yet under the snapshot, all the same: at the next execution of a kept plan, in an older snapshot. What is
# not named, or may be elsewhere, keeps the child.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
                CREATE TABLE visit (car text, place int, PRIMARY KEY (car, place)); SELECT vectorshard.create_vector_shard_table('visit', 'car');
                INSERT INTO trip SELECT c, i, 'x' FROM unnest(ARRAY['a', 'b', 'c']) c, generate_series(1, 10) i;
                INSERT INTO visit SELECT c, i FROM unnest(ARRAY['a', 'b']) c, generate_series(1, 4) i});
$f->poll('e1', q{SELECT (SELECT count(*) FROM trip) + (SELECT count(*) FROM visit)}, '38', 'e1 reads all rows');

sub bring { return $f->bring('e1', $_[0]); }
sub send_away { return $f->send_away('e1', $_[0]); }
my $session = Session->new($f->node('e1'));
sub ask { return $session->ask($_[0]); }
sub with_child { my ($sql) = @_; return ask("EXPLAIN (COSTS OFF) $sql") =~ /_elsewhere/ ? 1 : 0; }

ok(bring('a'), 'a is on e1');
my %alone = (
	'a constant' => q{SELECT * FROM trip WHERE car = 'a'},
	'a list' => q{SELECT * FROM trip WHERE car IN ('a')},
	'an array' => q{SELECT * FROM trip t JOIN visit v USING (car) WHERE t.car = ANY ('{a,a}')},
	'an expression' => q{SELECT * FROM trip WHERE 'a' || '' = car AND id > 2},
	'a join' => q{SELECT * FROM trip JOIN visit USING (car) WHERE car = 'a'},
	'a join by its condition' => q{SELECT * FROM trip t JOIN visit v ON v.car = t.car AND v.car = 'a' AND t.id = v.place},
	'a left join' => q{SELECT * FROM trip t LEFT JOIN visit v ON v.car = t.car AND v.place = t.id WHERE t.car = 'a'},
	'two left joins' => q{SELECT * FROM trip t LEFT JOIN visit v ON v.car = t.car LEFT JOIN trip u ON u.car = v.car WHERE t.car = 'a'},
);
my %both = (
	'no name' => q{SELECT * FROM trip WHERE id = 1},
	'a client elsewhere' => q{SELECT * FROM trip WHERE car = 'b'},
	'a list with one elsewhere' => q{SELECT * FROM trip WHERE car IN ('a', 'b')},
	'all but some' => q{SELECT * FROM trip WHERE car <> ALL ('{a}')},
	'an expression that may change' => q{SELECT * FROM trip WHERE car = chr(97 + (extract(century FROM now()) - extract(century FROM now()))::int)},
	'one of two' => q{SELECT * FROM trip WHERE car = 'a' OR car = 'b'},
	'the null side of a left join' => q{SELECT * FROM trip t LEFT JOIN visit v ON v.car = t.car AND t.car = 'a'},
	'the other side by the null side' => q{SELECT * FROM trip t LEFT JOIN visit v ON v.car = t.car AND v.car = 'a'},
	'a full join' => q{SELECT * FROM trip t FULL JOIN visit v ON v.car = t.car AND t.car = 'a'},
	'a table without a name' => q{SELECT * FROM trip t, visit v WHERE t.car = 'a' AND v.place = t.id},
	'a subquery' => q{SELECT * FROM trip WHERE car = 'a' AND id IN (SELECT place FROM visit)},
	'rows to be locked' => q{SELECT * FROM trip WHERE car = 'a' FOR UPDATE},
);
is(with_child($alone{$_}), 0, "without the child: $_") for sort keys %alone;
is(with_child($both{$_}), 1, "with the child: $_") for sort keys %both;
my %rows = ('a left join' => 10, 'two left joins' => 400, 'a join' => 40);
is(ask("SELECT count(*) FROM ($alone{$_}) x"), $rows{$_} // '', "rows of $_") for sort keys %rows;
ask('SET vectorshard.read_scope = local');
is(ask(q{SELECT count(*) FROM trip WHERE car = 'b'}), '0', 'read_scope = local');
ask('RESET vectorshard.read_scope');

# A kept plan outlives the copy.
ask(q{PREPARE p AS SELECT count(*), min(tableoid::regclass::text) FROM trip WHERE car = 'a'});
is(ask('EXECUTE p'), '10|trip', 'a kept plan reads the heap');
ask('SET plan_cache_mode = force_generic_plan');
ask(q{CREATE TEMP TABLE seen (n int); CREATE FUNCTION pg_temp.look() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM trip t WHERE t.car = ''a''); END'});
is(ask('SELECT pg_temp.look()'), '10', 'so does that of a function');
ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM seen');
ok(send_away('a'), 'a goes');
is(ask('EXECUTE p'), '10|trip', 'in a snapshot from before it went');
ask('COMMIT');
is(ask('EXECUTE p'), '10|trip_elsewhere', 'it is planned again with the child');
is(ask('SELECT pg_temp.look()'), '10', 'in the function, too');
is(ask('EXPLAIN (COSTS OFF) EXECUTE p') =~ /_elsewhere/ ? 1 : 0, 1, 'EXPLAIN shows what would run');
ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM seen');
ok(bring('a'), 'a comes back');
is(ask(q{SELECT count(*), min(tableoid::regclass::text) FROM trip WHERE car = 'a'}), '10|trip_elsewhere', 'in a snapshot from before it came, what is planned for the heap is planned again');
is(ask(q{SELECT count(*) FROM trip t JOIN visit v USING (car) WHERE car = 'a'}), '40', 'a join, too');
ask('COMMIT');
is(ask('EXECUTE p'), '10|trip', 'then the kept plan reads the heap again');

# A parameter names the client: with its value known, and in a plan for any value, which has the plan with the child beside it.
my %kept = (
	'custom' => 'SET plan_cache_mode = force_custom_plan',
	'generic' => 'SET plan_cache_mode = force_generic_plan',
);
ask(q{PREPARE one(text) AS SELECT count(*), min(tableoid::regclass::text) FROM trip WHERE car = $1;
      PREPARE two(text, text) AS SELECT count(*), min(tableoid::regclass::text) FROM trip WHERE car IN ($1, $2);
      PREPARE many(text[]) AS SELECT count(*), min(tableoid::regclass::text) FROM trip WHERE car = ANY ($1);
      PREPARE made(text) AS SELECT count(*), min(tableoid::regclass::text) FROM trip WHERE car = lower($1 || '');
      PREPARE joined(text) AS SELECT count(*), min(t.tableoid::regclass::text), min(v.tableoid::regclass::text) FROM trip t JOIN visit v USING (car) WHERE t.car = $1});
for my $mode (sort keys %kept) {
	ask($kept{$mode});
	for my $round (1 .. 2) {
		is(ask(q{EXECUTE one('a')}), '10|trip', "$mode: a client that is here");
		is(ask(q{EXECUTE one('b')}), '10|trip_elsewhere', "$mode: one that is not");
		is(ask(q{EXECUTE one(NULL)}), '0|', "$mode: null");
		is(ask(q{EXECUTE two('a', 'a')}), '10|trip', "$mode: a list");
		is(ask(q{EXECUTE two('a', 'b')}), '20|trip', "$mode: a list with one elsewhere");
		is(ask(q{EXECUTE many('{a,NULL}')}), '10|trip', "$mode: an array");
		is(ask(q{EXECUTE many('{b,a}')}), '20|trip', "$mode: an array with one elsewhere");
		is(ask(q{EXECUTE many(NULL)}), '0|', "$mode: no array");
		is(ask(q{EXECUTE made('A')}), '10|trip', "$mode: an expression");
		is(ask(q{EXECUTE made('B')}), '10|trip_elsewhere', "$mode: an expression that names one elsewhere");
		is(ask(q{EXECUTE joined('a')}), '40|trip|visit', "$mode: a join");
		is(ask(q{EXECUTE joined('b')}), '40|trip_elsewhere|visit_elsewhere', "$mode: a join elsewhere");
	}
	is(ask(q{EXPLAIN (COSTS OFF) EXECUTE one('a')}) =~ /_elsewhere/ ? 1 : 0, 0, "$mode: planned without the child");
	is(ask(q{EXPLAIN (COSTS OFF) EXECUTE one('b')}) =~ /_elsewhere/ ? 1 : 0, 1, "$mode: with the child");
}
ask(q{CREATE FUNCTION pg_temp.rows_of(c text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM trip t WHERE t.car = c); END'});
is(ask(q{SELECT string_agg(pg_temp.rows_of(chr(97 + g % 4)) || '', ' ' ORDER BY g) FROM generate_series(0, 15) g}), join(' ', ('10 10 10 0') x 4), 'a function for one client after the other');
ask('SET vectorshard.read_scope = local');
is(ask(q{EXECUTE one('b')}), '0|', 'read_scope = local');
ask('RESET vectorshard.read_scope');
ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM seen');
ok(send_away('a'), 'a goes');
is(ask(q{EXECUTE one('a')}), '10|trip', 'in a snapshot from before it went');
ask('COMMIT');
is(ask(q{EXECUTE one('a')}), '10|trip_elsewhere', 'then from elsewhere');
# What the kept plan beside it rests on may change.
ask(q{EXECUTE one('a')});
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN more int DEFAULT 7')});
$f->poll('e1', q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'trip_elsewhere'::regclass AND attname = 'more'}, '1', 'the table is altered');
is(ask(q{EXECUTE one('a')}), '10|trip_elsewhere', 'a kept plan after that');
is(ask(q{EXECUTE many('{a,b}')}), '20|trip_elsewhere', 'and another');
ok(bring('a'), 'a comes back');
is(ask(q{EXECUTE one('a')}), '10|trip', 'and is read here');

# A function that a parallel query calls plans its own statement.
ask(q{CREATE FUNCTION count_of_a(int) RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN RETURN (SELECT count(*) FROM trip t WHERE t.car = ''a''); END'});
ask(q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers = 0});
ok(ask('EXPLAIN SELECT min(count_of_a(oid::int)) FROM pg_class WHERE count_of_a(oid::int) > 0') =~ /Gather/, 'the query is parallel');
is(ask('SELECT min(count_of_a(oid::int)), max(count_of_a(oid::int)) FROM pg_class WHERE count_of_a(oid::int) > 0'), '10|10', 'in a parallel query');
ask('RESET ALL');

# Cursors go backwards where they could before.
ask(q{BEGIN; DECLARE k SCROLL CURSOR FOR SELECT id FROM trip WHERE car = 'a' ORDER BY id});
is(ask('FETCH 3 FROM k; FETCH BACKWARD 1 FROM k'), "1\n2\n3\n2", 'a cursor goes backwards');
ask('COMMIT');

# A table that inherits from it beside the child: refused, but one may be there from before.
like($f->error_of('e1', 'CREATE TABLE trip_more () INHERITS (trip)'), qr/0A000: tables cannot inherit from enrolled table/, 'no table inherits from an enrolled one');
$f->sql('e1', 'ALTER EVENT TRIGGER vectorshard_table_inherited DISABLE; CREATE TABLE trip_more () INHERITS (trip); ALTER EVENT TRIGGER vectorshard_table_inherited ENABLE');
is(ask(q{EXPLAIN (COSTS OFF) SELECT * FROM trip WHERE car = 'a'}) =~ /trip_more/ ? 1 : 0, 1, 'a second child is read');
$f->sql('e1', 'DROP TABLE trip_more');
$session->finish;
done_testing();
