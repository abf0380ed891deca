# Topology: core c1 (home of a, b and long); edge e1 asks.
# Proves: a question with a short answer leaves no transaction open at the home, and is prepared there when it comes again; answers
# that are longer than a batch come whole; columns that were added meanwhile, statements that were deallocated, a backend that was
# terminated there and hundreds of different texts make no difference; values of all kinds travel; a cancel and the end of a
# savepoint end the question at the home; above READ COMMITTED, and with lock_timeout, a transaction there keeps its snapshot.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.placement_mode = off\n");
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$CREATE TYPE mood AS ENUM ('calm', 'it''s "rough"')$$);
  CREATE TABLE trip (car text, id int, note text COLLATE "C", km numeric, at timestamptz, feels mood, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  INSERT INTO trip SELECT c, i, c || i, i / 4.0, '2026-03-01Z'::timestamptz + i * '1 h'::interval, CASE WHEN i = 2 THEN 'it''s "rough"' ELSE 'calm' END::mood
    FROM unnest(ARRAY['a', 'b', 'o''d\x']) c, generate_series(1, 3) i;
  INSERT INTO trip SELECT 'long', i, 'l' || i FROM generate_series(1, 1203) i;
  INSERT INTO trip SELECT 'batch', i, 'm' || i FROM generate_series(1, 500) i});
$f->poll('e1', q{SELECT count(*) FROM vectorshard.client}, '5', 'e1 knows the clients');
$f->poll('e1', 'SELECT count(*) FROM vectorshard.ship_lag WHERE NOT connected', '0', 'and reaches their home');

# What the sessions of e1 do at the home.
my $at_home = sub { my ($what) = @_; return $f->sql('c1', "SELECT string_agg(DISTINCT $what, ', ') FROM pg_stat_activity WHERE application_name = 'vectorshard read'"); };
my $e1 = Session->new($f->node('e1'));
my $ask = sub { return $e1->ask(@_) };
$ask->('BEGIN');
is($ask->(q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a'}), 'a1 a2 a3', 'a short answer, in a transaction');
is($at_home->('state'), 'idle', 'which is not open at the home');
is($ask->(q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'b'}), 'b1 b2 b3', 'the same of another client');
like($at_home->('query'), qr/^PREPARE v\d+ \(unknown\) AS SELECT/, 'is prepared there');
is($ask->(q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'o''d\x'}), q{o'd\x1 o'd\x2 o'd\x3}, 'and executed: a name that needs quoting');
like($at_home->('query'), qr/^PREPARE v\d+ .* LIMIT 501; EXECUTE v\d+ \('b'\)$/, 'by its name');
is($ask->(q{SELECT count(*) FROM trip WHERE car IN ('a', 'b', 'nobody')}), '6', 'a list') for 1 .. 3;
$ask->('COMMIT');

is($ask->(q{SELECT count(*) || ' ' || sum(id) FROM trip WHERE car = 'long'}), '1203 724206', 'more than a batch: all of it') for 1 .. 2;
is($ask->(q{SELECT count(*) || ' ' || sum(id) FROM trip WHERE car = 'batch'}), '500 125250', 'just a batch');
is($ask->(q{SELECT count(*) FROM trip WHERE car IN ('a', 'long', 'batch')}), '1706', 'a list with long answers') for 1 .. 2;
is($ask->(q{SELECT count(*) FROM trip t JOIN trip u USING (car, id) WHERE t.car = 'long' AND u.car = 'long'}), '1203', 'two at a time of one session');
is($ask->(q{SELECT count(*) FROM trip t, trip u WHERE t.car = 'a' AND u.car = 'b'}), '9', 'two short ones');

$ask->('PREPARE p(text, int, numeric, timestamptz, mood, text) AS SELECT string_agg(note, \' \' ORDER BY id) FROM trip
  WHERE car = $1 AND id <= $2 AND km <= $3 AND at <= $4 AND feels >= $5 AND note < $6; SET plan_cache_mode = force_generic_plan');
for (1 .. 3) {
	is($ask->(q{EXECUTE p('a', 3, 0.75, '2026-03-01 03:00Z', 'calm', 'z')}), 'a1 a2 a3', 'values of parameters');
	is($ask->(q{EXECUTE p('a', 3, 0.75, '2026-03-01 04:00+01', 'it''s "rough"', 'z')}), 'a2', 'others');
	is($ask->(q{EXECUTE p('a', NULL, 0.75, '2026-03-01 03:00Z', 'calm', 'z')}), '', 'null');
}

# What changes at the home.
is($ask->(q{SELECT id FROM trip WHERE car = 'a' AND id = 2}), '2', 'once') for 1 .. 2;
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN extra int DEFAULT 7')});
$f->poll('e1', q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'trip'::regclass AND attname = 'extra'}, '1', 'a column is added');
is($ask->(q{SELECT id FROM trip WHERE car = 'a' AND id = 2}), '2', 'the statement of before');
is($ask->(q{SELECT extra FROM trip WHERE car = 'a' AND id = 2}), '7', 'the new column');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ALTER COLUMN note TYPE varchar(40) COLLATE "C"')});
$f->poll('e1', q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'trip'::regclass AND attname = 'note'}, 'character varying(40)', 'a type is changed');
is($ask->(q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a'}), 'a1 a2 a3', 'a statement whose columns have another type');
my $kill = q{SELECT count(pg_terminate_backend(pid, 5000)) > 0 FROM pg_stat_activity WHERE application_name = 'vectorshard read'};
is($f->sql('c1', $kill), 't', 'its backend is terminated');
is($ask->(q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a'}), 'a1 a2 a3', 'asked again on a new connection');
is($ask->(q{DO $$DECLARE n int; BEGIN FOR i IN 1..260 LOOP FOR j IN 1..2 LOOP
    EXECUTE format('SELECT count(*) FROM trip WHERE car = ''a'' AND id <> %s', 1000 + i) INTO n;
    IF n <> 3 THEN RAISE EXCEPTION 'wrong'; END IF; END LOOP; END LOOP; END$$}), '', 'hundreds of texts');
is($ask->(q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a'}), 'a1 a2 a3', 'and still the first');

# A question that is not waited for to its end: the home sleeps in a trigger's place, by a lock that the reader needs.
my $locker = Session->new($f->node('c1'));
$locker->ask('BEGIN; LOCK TABLE trip');
like($f->error_of('e1', q{SET statement_timeout = '300ms'; SELECT count(*) FROM trip WHERE car = 'a'}), qr/57014/, 'cancelled while the home waits');
is($ask->(q{SET statement_timeout = '300ms'; DO $$BEGIN BEGIN PERFORM count(*) FROM trip WHERE car = 'a';
    EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'late'; END; END$$; RESET statement_timeout}), 'NOTICE:  late', 'or in a savepoint');
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vectorshard read' AND wait_event_type = 'Lock'}, '0', 'nobody waits at the home any more');
like($f->error_of('e1', q{SET lock_timeout = '200ms'; SELECT count(*) FROM trip WHERE car = 'a'}), qr/55P03/, 'lock_timeout counts at the home');
$locker->ask('COMMIT');

$ask->('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($ask->(q{SELECT count(*) FROM trip WHERE car = 'a'}), '3', 'REPEATABLE READ');
$f->sql('c1', q{INSERT INTO trip VALUES ('a', 4, 'a4')});
is($ask->(q{SELECT count(*) FROM trip WHERE car = 'a'}), '3', 'keeps its snapshot at the home');
$ask->('COMMIT');
is($ask->(q{SELECT count(*) FROM trip WHERE car = 'a'}), '4', 'until its end');
$ask->('BEGIN');
is($ask->(q{UPDATE trip SET note = 'own' WHERE car = 'a' AND id = 4 RETURNING note}), 'own', 'a transaction that writes');
is($ask->(q{SELECT note FROM trip WHERE car = 'a' AND id = 4}), 'own', 'sees that');
$ask->('ROLLBACK');
is($ask->(q{SELECT note FROM trip WHERE car = 'a' AND id = 4}), 'a4', 'and not what it rolled back');
done_testing();
