# Topology: core nodes c1 and c2, edges e1 and e2.
# Proves: every node reads every row, by name and all; UPDATE and DELETE of rows elsewhere end with the local transaction
# and its savepoints; what cannot work is refused with a hint; a node that is away gives an error, or a warning; a cancel
# reaches the other node; connections survive a restart there.
use strict;
use warnings;
use Fabric;
use IPC::Run;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nmax_prepared_transactions = 5");
$f->add_server($_) for 'c2', 'e1', 'e2';
$f->join('c2', kind => 'core');
$f->join($_) for 'e1', 'e2';
my @nodes = ('c1', 'c2', 'e1', 'e2');

$f->sql('c1', q{
  CREATE TABLE trip (car text, id int, note text, odo numeric(8,2), at timestamptz DEFAULT '2026-01-02 03:04:05.678+00',
                     twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE part (unit int, id int, d date, PRIMARY KEY (unit, id));
  SELECT vectorshard.create_vector_shard_table('part', 'unit');
});
for my $n (@nodes) {
	$f->poll($n, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before' AND tgrelid::regclass::text IN ('trip', 'part')},
		'2', "$n has the tables");
}
my $rows = q{SELECT c || i, j, E'it''s \\\\ ' || j, j + 0.5 FROM generate_series(1, 5) i, generate_series(1, 4) j};
$f->sql('c1', "INSERT INTO trip (car, id, note, odo) SELECT r.* FROM (SELECT 'a' AS c) x, LATERAL ($rows) r");
$f->sql('c2', "INSERT INTO trip (car, id, note, odo) SELECT r.* FROM (SELECT 'b' AS c) x, LATERAL ($rows) r");
$f->sql('c1', q{INSERT INTO part SELECT i, j, '2026-03-04' FROM generate_series(1, 3) i, generate_series(1, 2) j});
for my $n (@nodes) {
	$f->poll($n, q{SELECT count(*) FROM vectorshard.client}, '13', "$n knows all clients");
}

# Reading.
my $hash = q{SELECT count(*) || ' ' || md5(string_agg(t::text, ',' ORDER BY car, id)) FROM trip t};
my $truth = $f->sql('c1', $hash);
like($truth, qr/^40 /, 'all rows are there');
is($f->sql($_, $hash), $truth, "$_ reads all rows") for @nodes;
for my $n (@nodes) {
	is($f->sql($n, q{SELECT string_agg(car || id, ' ' ORDER BY car, id) FROM trip WHERE car IN ('a1', 'b2', 'none') AND id < 3}),
		'a11 a12 b21 b22', "$n reads by name");
	is($f->sql($n, q{SELECT count(*), max(d) FROM part WHERE unit = 2}), '2|2026-03-04', "$n reads clients named by numbers");
	is($f->sql($n, q{SELECT count(*) FROM trip WHERE car = 'none'}), '0', "$n: a client that nobody knows");
}
is($f->sql('e1', q{SET plan_cache_mode = force_generic_plan; PREPARE p(text) AS SELECT count(*) FROM trip WHERE car = $1;
                   EXECUTE p('a1'); EXECUTE p('b1'); EXECUTE p(NULL)}), "4\n4\n0", 'a generic plan');
is($f->sql('e1', q{SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
                   SELECT count(*), sum(id) FROM (VALUES ('a1'), ('b3'), ('none')) w(car) JOIN trip USING (car)}), '8|20', 'named by a join');
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car = (SELECT 'a' || 1)}), '4', 'named by a subquery');
is($f->sql('e1', q{SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'; SELECT at FROM trip WHERE car = 'a1' AND id = 1 AND at < '05.01.2026'}),
	'02.01.2026 12:04:05.678 JST', 'settings of the session do not leave it');
is($f->sql('e1', q{COPY (SELECT car, id FROM trip WHERE car = 'a1' ORDER BY id LIMIT 1) TO STDOUT}), "a1\t1", 'COPY of a query');
is($f->sql('e1', q{SET vectorshard.read_scope = local; SELECT count(*) FROM trip}), '0', 'read_scope local');
is($f->sql('e1', q{BEGIN; DECLARE c CURSOR FOR SELECT car FROM trip; FETCH 1 FROM c; SELECT count(*) FROM trip; CLOSE c; COMMIT}) =~ /40/ ? 1 : 0, 1,
	'two scans at once');
is($f->sql('e1', q{SELECT count(*) FROM trip a JOIN trip b USING (car, id) LIMIT 1}), '40', 'a join with itself');
$f->sql('c1', q{INSERT INTO trip SELECT 'big', i FROM generate_series(1, 3000) i});
$f->poll('e1', q{SELECT count(*) FROM trip WHERE car = 'big'}, '3000', 'more rows than a batch');
is($f->sql('e1', q{SELECT count(*) FROM (SELECT FROM trip LIMIT 10) x}), '10', 'a scan that stops early');
my $plan = $f->sql('e1', q{EXPLAIN (ANALYZE, VERBOSE, COSTS off, TIMING off, SUMMARY off) SELECT note FROM trip WHERE car = 'a1' AND id > 2});
like($plan, qr/Remote SQL: SELECT .* FROM public\.trip t WHERE t\."car" = \$1 AND \(\(t\.id > 2\)\)/, 'EXPLAIN: SQL');
like($plan, qr/Nodes Asked: c1 \(rows=2\)\n/, 'EXPLAIN: nodes');

# A table that another node has not made yet: the question waits for it.
my $maker = $f->sql('c2', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard holder'});
kill 'STOP', $maker;
$f->sql('c1', q{CREATE TABLE fresh (car text PRIMARY KEY); SELECT vectorshard.create_vector_shard_table('fresh', 'car'); INSERT INTO fresh VALUES ('a1')});
my ($fresh, $fresh_err) = ('', '');
my $early = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('c1')->connstr('postgres'), '-c', 'SELECT car FROM fresh' ], '<', \undef, '>', \$fresh, '2>', \$fresh_err);
$f->poll('c2', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'vectorshard read' AND query LIKE '%fresh%'}, 't', 'c2 is asked for rows of a table that it has not made');
is($f->sql('c2', q{SELECT to_regclass('fresh') IS NULL}), 't', 'which it still has not');
kill 'CONT', $maker;
$early->finish;
is("$fresh$fresh_err", "a1\n", 'it answers when it has made it');

# Changing rows elsewhere.
is($f->sql('e1', q{UPDATE trip SET note = note || '!', odo = NULL WHERE car = 'a1' AND id = 2 RETURNING car, id, note, odo, twice}),
	"a1|2|it's \\ 2!||4", 'UPDATE … RETURNING');
is($f->sql('c1', q{SELECT note, odo IS NULL, _version & 1023 FROM trip WHERE car = 'a1' AND id = 2}), "it's \\ 2!|t|1", 'the home has it');
is($f->sql('e2', q{DELETE FROM trip WHERE car = 'b1' AND id = 1 RETURNING car, id}), 'b1|1', 'DELETE … RETURNING');
is($f->sql('c2', q{SELECT count(*) FROM vectorshard.tombstone WHERE table_name = 'public.trip'}), '1', 'the home has the tombstone');
is($f->sql('e1', q{WITH u AS (UPDATE trip SET note = 'x' WHERE id = 3 AND car <> 'big' RETURNING 1) SELECT count(*) FROM u}), '10', 'UPDATE at every home');
is($f->sql('c1', q{WITH u AS (UPDATE trip SET note = 'y' WHERE id = 3 AND car <> 'big' RETURNING 1) SELECT count(*) FROM u}), '10', 'and here');
is($f->sql('e1', q{
  BEGIN; UPDATE trip SET note = 'one' WHERE car = 'a2'; SAVEPOINT s; UPDATE trip SET note = 'two' WHERE car = 'a2' AND id = 1;
  DELETE FROM trip WHERE car = 'b2'; ROLLBACK TO s; UPDATE trip SET note = 'three' WHERE car = 'a2' AND id = 4;
  SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a2'; COMMIT}), 'one one one three', 'a transaction sees what it wrote');
is($f->sql('c1', q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a2'}), 'one one one three', 'COMMIT commits there');
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car = 'b2'}), '4', 'ROLLBACK TO rolls back there');
# A client whose rows were changed at its home gets new ones there, in the same transaction.
$f->sql('c1', q{CREATE TABLE heard (of text); CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.heard VALUES (TG_WHEN || ' ' || NEW.id); RETURN NEW; END $$;
  CREATE TRIGGER hear BEFORE INSERT ON trip FOR EACH ROW EXECUTE FUNCTION hear(); CREATE TRIGGER hear_after AFTER INSERT ON trip FOR EACH ROW EXECUTE FUNCTION hear()});
is($f->sql('e1', q{BEGIN; UPDATE trip SET note = 'held' WHERE car = 'a2' AND id = 1; INSERT INTO trip VALUES ('a2', 71, 'new'), ('a2', 72, 'new') RETURNING id, note;
  INSERT INTO trip AS t VALUES ('a2', 71, 'again') ON CONFLICT (car, id) DO UPDATE SET note = t.note || ' ' || excluded.note RETURNING note;
  INSERT INTO trip VALUES ('a2', 71, 'no') ON CONFLICT DO NOTHING; SAVEPOINT s; INSERT INTO trip VALUES ('a2', 73, 'no'); ROLLBACK TO s;
  COPY trip (car, id, note) FROM stdin;
a2	74	copied
\.
  SELECT string_agg(id || note, ' ' ORDER BY id) FROM trip WHERE car = 'a2' AND id > 70; COMMIT}), "71|new\n72|new\nnew again\n71new again 72new 74copied", 'INSERT after an UPDATE at the home');
is($f->sql('c1', q{SELECT string_agg(id || note, ' ' ORDER BY id) FROM ONLY trip WHERE car = 'a2' AND id > 70}), '71new again 72new 74copied', 'the home has the rows');
is($f->sql('c1', q{SELECT string_agg(of, ', ' ORDER BY of) FROM heard}), 'AFTER 71, AFTER 72, AFTER 74', 'its triggers fire after them; those before fired where the statement ran');
is($f->sql('e1', q{SELECT count(*) FROM ONLY trip WHERE car = 'a2'}), '0', 'and nothing came here');
$f->sql('e1', q{BEGIN; UPDATE trip SET note = 'x' WHERE car = 'a2' AND id = 71; INSERT INTO trip VALUES ('a2', 75, 'no'); ROLLBACK});
like($f->error_of('e1', q{BEGIN; UPDATE trip SET note = 'x' WHERE car = 'a2' AND id = 71; INSERT INTO trip VALUES ('a2', 72, 'twice')}), qr/23505/, 'a key that is there');
is($f->sql('e1', q{DELETE FROM trip WHERE car = 'a2' AND id > 70 RETURNING id}), "71\n72\n74", 'what was rolled back is not there');
$f->sql('c1', 'DROP TRIGGER hear ON trip; DROP TRIGGER hear_after ON trip; DROP FUNCTION hear; DROP TABLE heard');
$f->sql('e1', q{BEGIN; UPDATE trip SET note = 'no' WHERE car IN ('a2', 'b2'); ROLLBACK});
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE note = 'no'}), '0', 'ROLLBACK rolls back there');
$f->node('e1')->psql('postgres', q{BEGIN; DELETE FROM trip WHERE car = 'a2'; SELECT 1 / 0; COMMIT});
is($f->sql('e2', q{SELECT count(*) FROM trip WHERE car = 'a2'}), '4', 'an error rolls back there');
is($f->sql('e1', q{DO $$ BEGIN FOR i IN 1..4 LOOP
  BEGIN UPDATE trip SET note = 'loop' || i WHERE car = 'a3' AND id = i; IF i % 2 = 0 THEN RAISE 'no'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END;
  END LOOP; END $$; SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a3' AND note LIKE 'loop%'}), 'loop1 loop3', 'blocks with exceptions');

# Parallel plans: workers ask on connections of their own, but not when the transaction has written elsewhere.
my $parallel = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET force_parallel_mode = on};
is($f->sql('e1', "$parallel; SELECT count(*) FROM trip WHERE car <> 'big'"), '39', 'in parallel');
is($f->sql('e1', "$parallel; BEGIN; DELETE FROM trip WHERE car = 'a5' AND id = 4; SELECT count(*) FROM trip WHERE car <> 'big'; ROLLBACK"), '38',
	'a parallel plan sees what was written elsewhere');

# What is refused.
my %refused = (
	q{UPDATE trip SET car = 'a9' WHERE car = 'a4'} => qr/0A000: .*cannot be given to another client.*DETAIL:.*"a4".*HINT:/s,
	q{INSERT INTO trip_elsewhere (car, id) VALUES ('a4', 9)} => qr/0A000: cannot insert into foreign table.*HINT:\s+Insert into the table itself/s,
	q{TRUNCATE trip} => qr/0A000: cannot truncate.*HINT:/s,
	q{TRUNCATE trip_elsewhere} => qr/0A000: cannot truncate.*HINT:/s,
	q{MERGE INTO trip t USING (SELECT 'a4' AS c) s ON t.car = s.c WHEN MATCHED THEN DELETE} => qr/0A000: cannot merge into.*HINT:.*ON CONFLICT/s,
	q{BEGIN; UPDATE trip SET note = 'p' WHERE car = 'a4'; PREPARE TRANSACTION 'p'} => qr/0A000: cannot prepare.*HINT:/s,
	q{UPDATE trip SET odo = 9999999 WHERE car = 'a4'} => qr/22003: numeric field overflow/,
);
like($f->error_of('e1', $_), $refused{$_}, "refused: $_") for sort keys %refused;
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car = 'a4' AND note LIKE 'it%'}), '3', 'and nothing has changed');
is($f->sql('e1', q{BEGIN; SELECT count(*) FROM trip WHERE car = 'a4'; PREPARE TRANSACTION 'r'; COMMIT PREPARED 'r'}), '4', 'PREPARE after reads');
$f->sql('e1', q{INSERT INTO trip (car, id, note) VALUES ('a5', 1, 'new') ON CONFLICT (car, id) DO UPDATE SET note = 'conflict'});
is($f->sql('e1', q{SELECT tableoid::regclass, note FROM trip WHERE car = 'a5' AND id = 1}), 'trip|conflict', 'INSERT … ON CONFLICT brings the client here');

# Locks and cancel.
my ($in, $out) = ('', '');
my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('e2')->connstr('postgres') ], '<', \$in, '>', \$out, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$in .= "BEGIN; SELECT id FROM trip WHERE car = 'a1' AND id = 1 FOR UPDATE;\n";
$holder->pump until $out =~ /1/;
like($f->error_of('c1', q{SELECT id FROM trip WHERE car = 'a1' AND id = 1 FOR UPDATE NOWAIT}), qr/55P03/, 'FOR UPDATE locks at the home');
like($f->error_of('e1', q{SELECT id FROM trip WHERE car = 'a1' AND id = 1 FOR UPDATE NOWAIT}), qr/55P03/, 'NOWAIT travels');
is($f->sql('e1', q{SELECT count(*) FROM (SELECT FROM trip WHERE car = 'a1' FOR UPDATE SKIP LOCKED) x}), '3', 'SKIP LOCKED travels');
like($f->error_of('e1', q{SET statement_timeout = '300ms'; UPDATE trip SET note = 'z' WHERE car = 'a1' AND id = 1}), qr/57014/, 'a time-out');
like($f->error_of('e1', q{SET lock_timeout = '200ms'; UPDATE trip SET note = 'z' WHERE car = 'a1' AND id = 1}), qr/55P03/, 'lock_timeout travels');
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vectorshard read' AND wait_event_type = 'Lock'}, '0',
	'nothing waits at the home any more');
$in .= "COMMIT;\n\\q\n";
$holder->finish;

# A node that restarts, one that is away.
($in, $out) = ('', '');
my $reader = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('e1')->connstr('postgres') ], '<', \$in, '>', \$out, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$in .= "SELECT 'first', count(*) FROM trip WHERE car = 'b3';\n";
$reader->pump until $out =~ /first\|4/;
$f->node('c2')->stop('fast');
$f->node('c2')->start;
$in .= "SELECT 'second', count(*) FROM trip WHERE car = 'b3';\n";
$reader->pump until $out =~ /second|ERROR/;
like($out, qr/second\|4/, 'a kept connection is made anew');
$in .= "BEGIN; UPDATE trip SET note = 'lost' WHERE car = 'b3'; SELECT 'wrote';\n";
$reader->pump until $out =~ /wrote/;
$f->node('c2')->stop('fast');
$in .= "COMMIT; SELECT 'over';\n";
$reader->pump until $out =~ /over/;
like($out, qr/ERROR: .*did not confirm/, 'a lost connection fails the commit');
$in .= "\\q\n";
$reader->finish;
my $error = $f->error_of('e1', q{SELECT count(*) FROM trip});
like($error, qr/ERROR:\s+08001: node "c2" cannot be reached.*DETAIL:.*port.*HINT:.*on_unreachable/s, 'a node that is away: all rows');
like($f->error_of('e1', q{SELECT count(*) FROM trip WHERE car = 'b3'}), qr/08001: node "c2"/, 'a node that is away: its client');
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car = 'a1'}), '4', 'clients of other nodes are read');
my ($rc, $stdout, $stderr) = $f->node('e1')->psql('postgres', q{SET vectorshard.on_unreachable = warn; SELECT count(*) FROM trip WHERE car <> 'big'});
is($stdout, '20', 'on_unreachable = warn leaves its rows out');
like($stderr, qr/WARNING: .*"c2"/, 'and names it');
$f->node('c2')->start;
is($f->sql('e1', q{SELECT string_agg(DISTINCT note, ' ') FROM trip WHERE car = 'b3' AND note = 'lost'}), '', 'what was not committed is not there');
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car <> 'big'}), '39', 'it is back');

done_testing();
