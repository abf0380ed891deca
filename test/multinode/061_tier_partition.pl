# A partition goes to a store and back under open transactions, old snapshots and kill -9: late rows are in the store too,
# no reader sees a row vanish, and the whole table hashes the same at the end. Objects that only an old snapshot needs stay for it, though they are kept
# for no time (object_retention_s = 0).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nmax_prepared_transactions = 5\n");
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->sql('c1', q{
	CREATE TABLE event (id int NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
	CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i % 1000, md5(i::text) FROM generate_series(1, 5000) i;
});
sub hash { return $f->sql('c1', q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event e}); }
sub state_of { my ($move) = @_; return "SELECT state FROM vectorshard.tier_moves WHERE move = $move"; }

# A transaction that wrote before the fence: the move waits for it and takes its row along.
my $late = $f->node('c1')->background_psql('postgres');
$late->query_safe(q{BEGIN; INSERT INTO event VALUES (9001, '2020-07-07', 'late')});
my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_1'::regclass)});
$f->poll('c1', "SELECT errors > 0 FROM vectorshard.tier_moves WHERE move = $move", 't', 'the fence waits for an open writer');
is($f->sql('c1', state_of($move)), 'planned', 'and nothing has begun');
$late->query_safe(q{INSERT INTO event VALUES (9002, '2020-08-08', 'later')});
# A reader whose snapshot does not see the late rows holds up the export.
my $old = $f->node('c1')->background_psql('postgres');
$old->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1});
$late->query_safe('COMMIT');
$f->poll('c1', state_of($move), 'fenced', 'fenced, waiting for old snapshots');
like($f->error_of('c1', q{INSERT INTO event VALUES (1, '2020-05-05', 'no')}), qr/55006: .*is being moved.*HINT/s, 'writes are refused with a hint');
like($f->error_of('c1', q{TRUNCATE event_1}), qr/55006/, 'so is TRUNCATE');
$f->sql('c1', q{INSERT INTO event VALUES (9003, '2021-05-05', 'other partition')});
my $truth = hash();
is($old->query_safe(q{SELECT count(*) FROM event}), '5000', 'the old reader sees what it saw');
$f->kill9_and_restart('c1');
eval { $_->quit } for $old, $late;
$f->poll('c1', state_of($move), 'grace', 'kill -9 while fenced: the move goes on');
is($f->sql('c1', q{SELECT rows FROM vectorshard.segment WHERE table_name = 'public.event_1'}),
	$f->sql('c1', qq{SELECT count(*) FROM event_1_moved_$move}), 'the segment has as many rows as the heap that is kept');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment_rows('1-1-1', 'event_1'::regclass) AS r(id int, at date, words text) WHERE words LIKE 'late%'}), '2', 'the late rows among them');

is(hash(), $truth, 'plain SQL reads the partition in the store');

# Back: nobody loses sight of the rows.
my $back = $f->sql('c1', q{SELECT vectorshard.move_to_hot('event_1'::regclass, grace => '0 s')});
$f->poll('c1', state_of($back), 'done', 'back in the heap');
is(hash(), $truth, 'the same rows');
$f->poll('c1', state_of($move), 'done', 'the heap that was kept is gone');
is($f->sql('c1', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'event\_1\_%' AND relkind = 'r'}), '0', 'no table is left over');

# kill -9 while the swap waits for its lock.
my $reader = $f->node('c1')->background_psql('postgres');
$reader->query_safe(q{BEGIN; LOCK TABLE event IN ACCESS SHARE MODE});    # before the move is asked for: else it may be through
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_2'::regclass, grace => '0 s')});
$f->poll('c1', state_of($move), 'registered', 'registered, waiting for the lock');
is(hash(), $truth, 'readers see the heap');
$f->kill9_and_restart('c1');
eval { $reader->quit };
$f->poll('c1', state_of($move), 'done', 'kill -9 before the swap: the move goes on');
is($f->sql('c1', q{SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = 'event_2'}), 'vectorshard_cold', 'the partition is in the store');
$back = $f->sql('c1', q{SELECT vectorshard.move_to_hot('event_2'::regclass, grace => '0 s')});
$f->poll('c1', state_of($back), 'done', 'and back');
is(hash(), $truth, 'the same rows again');

# A table that changes between export and swap is not swapped; the partition is writable again.
$reader = $f->node('c1')->background_psql('postgres');
$reader->query_safe(q{BEGIN; LOCK TABLE event IN ACCESS SHARE MODE});
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('event_3'::regclass)});
$f->poll('c1', state_of($move), 'registered', 'registered');
$f->sql('c1', q{ALTER TABLE event_3 DISABLE TRIGGER zz_vectorshard_moving; UPDATE event_3 SET words = 'changed' WHERE id = 900});
$reader->query_safe('COMMIT');
$f->poll('c1', state_of($move), 'failed', 'a fence that was removed takes the move back');
is($f->sql('c1', q{UPDATE event_3 SET words = 'free' WHERE id = 900 RETURNING words}), 'free', 'the partition is writable');
is($f->sql('c1', q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zz_vectorshard_moving%'}), '0', 'no fence is left');
$reader->quit;

# The table changes between the export and its verification, which reads what was stored into rows of the table as it is: the move is taken back.
$f->sql('c1', q{
	CREATE TABLE log (id int, note text, at date NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO log SELECT i, md5(i::text), date '2020-01-01' + i % 300 FROM generate_series(1, 3000) i;
	CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = 0 SET search_path = pg_catalog AS $$ BEGIN
		PERFORM pg_advisory_xact_lock_shared(77, hashtext(NEW.state)); RETURN NULL; END $$;
	CREATE TRIGGER zz_hold AFTER UPDATE ON vectorshard.tier_move FOR EACH ROW EXECUTE FUNCTION hold();
	ALTER TABLE vectorshard.tier_move ENABLE ALWAYS TRIGGER zz_hold});
my $log = q{SELECT count(*) || md5(string_agg(id::text, '|' ORDER BY id)) FROM log};
my $logged = $f->sql('c1', $log);
my $holder = $f->node('c1')->background_psql('postgres');
for my $change ('ADD COLUMN more int', 'DROP COLUMN note', 'DROP COLUMN more, ADD COLUMN more text') {
	$holder->query_safe(q{SELECT pg_advisory_lock(77, hashtext('exported'))});
	$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('log_1'::regclass, grace => interval '0')});
	$f->poll('c1', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 77 AND NOT granted}, '1', "$change: the object is written");
	$f->sql('c1', "ALTER TABLE log $change");
	$holder->query_safe('SELECT pg_advisory_unlock_all()');
	$f->poll('c1', state_of($move), 'failed', "$change: the move is taken back");
	like($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"), qr/changed while it was moved/, "$change: for this");
	is($f->sql('c1', $log), $logged, "$change: all rows are there");
}
$holder->quit;
$f->sql('c1', 'DROP TRIGGER zz_hold ON vectorshard.tier_move');
$move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('log_1'::regclass, grace => interval '0')});
$f->poll('c1', state_of($move), 'done', 'then it goes as it is now');
is($f->sql('c1', $log), $logged, 'with all rows');

# Clients come back and their segment is worn, while a transaction goes on that began before: of those objects none is removed before it ends.
$f->sql('c1', $_) for 'ALTER SYSTEM SET vectorshard.object_retention_s = 0', 'SELECT pg_reload_conf()', q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'car' || c, i, md5(c || '/' || i) FROM generate_series(1, 3) c, generate_series(1, 100) i};
my $trips = q{SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY client, id)) FROM trip t};
my $all = $f->sql('c1', $trips);
for my $car ('car1', 'car2') {
	$move = $f->sql('c1', "SELECT vectorshard.move_to_cold('$car')");
	$f->poll('c1', state_of($move), 'done', "$car is in the store");
}
# The worker tidies when it starts; what it made and nothing names goes last, so a row of that which is gone tells that it has looked at all else.
sub tidied {
	$f->sql('c1', q{INSERT INTO vectorshard.made_object (store, object_key, made_at) VALUES ('cold', 'node1/none.parquet', now() - interval '1 min')});
	$f->sql('c1', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'});
	return $f->poll('c1', q{SELECT count(*) FROM vectorshard.made_object WHERE object_key = 'node1/none.parquet'}, '0', 'the worker has tidied');
}
my $dead = q{SELECT count(*) FROM vectorshard.segment WHERE table_name = 'public.trip' AND state = 'dead'};
sub objects { return scalar(() = glob "$store/node1/*.parquet"); }
$f->poll_until('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0');
tidied();
my $there = objects();
for my $level ('REPEATABLE READ', 'READ COMMITTED') {
	$old = $f->node('c1')->background_psql('postgres');
	$old->query_safe("BEGIN ISOLATION LEVEL $level; DECLARE slow CURSOR FOR SELECT * FROM trip ORDER BY client, id; SELECT 1");
	my $car = $level eq 'READ COMMITTED' ? 'car2' : 'car1';
	is($f->sql('c1', "SELECT vectorshard.move_to_hot('$car')"), 't', "$level: $car comes back");
	$f->sql('c1', 'SELECT vectorshard.retire_segments()');
	is($f->sql('c1', $dead), '1', "$level: nothing in its segment counts");
	tidied();
	is(objects(), $there, "$level: its object is there");
	unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*';
	is($old->query_safe($trips), $all, "$level: a transaction that began before reads all") if $level eq 'REPEATABLE READ';
	is(scalar(() = $old->query_safe('FETCH ALL FROM slow') =~ /^car\d/mg), 300, "$level: and its cursor too");
	$old->query_safe('COMMIT');
	$old->quit;
	tidied();
	is($f->sql('c1', $dead), '0', "$level: when it has ended, the segment goes");
	is(objects(), --$there, "$level: with its object");
}
# A prepared transaction holds back what VACUUM would keep for it.
$f->sql('c1', q{SELECT vectorshard.move_to_cold('car1')});
$f->poll('c1', q{SELECT count(*) FROM vectorshard.cold_client}, '1', 'car1 in the store once more');
$f->sql('c1', q{BEGIN; CREATE TABLE later (i int); PREPARE TRANSACTION 'later'});
$f->sql('c1', q{SELECT vectorshard.move_to_hot('car1'); SELECT vectorshard.retire_segments()});
tidied();
is($f->sql('c1', $dead), '1', 'a prepared transaction');
$f->sql('c1', q{COMMIT PREPARED 'later'});
tidied();
is($f->sql('c1', $dead), '0', 'until it has ended');
is($f->sql('c1', $trips), $all, 'all rows are there');

# The same rows go once more: when their first object is removed, the copy stays that is read of the second, which has the same bytes.
sub keep_objects { my ($s) = @_; $f->sql('c1', $_) for "ALTER SYSTEM SET vectorshard.object_retention_s = $s", 'SELECT pg_reload_conf()'; return; }
keep_objects(3600);
for my $to ('hot', 'cold') {
	$move = $f->sql('c1', "SELECT vectorshard.move_to_$to('log_1'::regclass, grace => interval '0')");
	$f->poll('c1', state_of($move), 'done', "the same rows go $to");
}
is($f->sql('c1', q{SELECT count(*) || ' ' || count(DISTINCT sha256) || ' ' || count(*) FILTER (WHERE state = 'dead') FROM vectorshard.segment WHERE table_name = 'public.log_1'}), '2 1 1',
	'two objects of the same bytes, of which one is dead');
is($f->sql('c1', $log), $logged, 'all rows are read');
my $copy = $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/' . $f->sql('c1', q{SELECT min(sha256) FROM vectorshard.segment WHERE table_name = 'public.log_1'}) . '.parquet';
ok(-e $copy, 'from a copy');
keep_objects(0);
tidied();
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment WHERE table_name = 'public.log_1'}), '1', 'the first object is gone');
ok(-e $copy, 'the copy is not');

done_testing();
