# Topology: core nodes c1 and c2; an application asks c2. Of its four clients one is resident there, one lies in a store of c2, one has
# its home on c1 and one lies in a store of c1.
# Proves: privileges on tables and columns, row security and security barriers of the asking role hold alike for all four, for reading and
# for writing, though the sessions at c1 are of another role; what a role may not see reaches no function of its own and no error text;
# a session at another node outlives errors, is used again, and is never left in a transaction.
use strict;
use warnings;
use Fabric;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\nvectorshard.tiering_interval_ms = 500\nautovacuum = off");
$f->add_server('c2');
$f->join('c2', kind => 'core');
my $dir = PostgreSQL::Test::Utils::tempdir();
mkdir "$dir/store";
my @clients = ('cold', 'far_cold', 'here', 'there');
my %home = (cold => 'c2', here => 'c2', there => 'c1', far_cold => 'c1');

$f->sql($_, 'CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE cat LOGIN; CREATE ROLE keeper LOGIN; CREATE ROLE nobody LOGIN; GRANT CREATE ON SCHEMA public TO ann, keeper') for 'c1', 'c2';
$f->sql('c2', q{CREATE TABLE note (car text, id int, owner text, secret text CHECK (secret <> 'forbidden'), words text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('note', 'car')});
$f->poll('c1', q{SELECT relhastriggers FROM pg_class WHERE oid = to_regclass('note')}, 't', 'c1 has the table');
for my $car (@clients) {
	$f->sql($home{$car}, "INSERT INTO note SELECT '$car', i, CASE WHEN i % 2 = 1 THEN 'ann' ELSE 'bob' END, 'secret ' || i, 'words ' || i FROM generate_series(1, 4) i");
}
$f->sql('c2', "SELECT vectorshard.create_store('attic', 'file://$dir/store')");
$f->poll($_, 'SELECT count(*) FROM vectorshard.store', '1', "$_ knows the store") for 'c1', 'c2';
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '4', "$_ knows the clients") for 'c1', 'c2';

# Puts everything again where it was: off c2, into the stores.
sub freeze {
	for my $car ('there', 'far_cold') {
		next if $f->sql('c2', "SELECT count(*) FROM vectorshard.resident WHERE client = '$car'") eq '0';
		$f->send_away('c2', $car) or die "$car stays at c2";
	}
	for my $car ('cold', 'far_cold') {
		my $node = $home{$car};
		$f->sql($node, "SELECT vectorshard.move_to_cold('$car') WHERE NOT EXISTS (SELECT FROM vectorshard.cold_client WHERE client = '$car')");
		$f->poll_until($node, "SELECT count(*) FROM ONLY note WHERE car = '$car'", '0') or die "$car stays in the heap";
	}
	return;
}
freeze();
is($f->sql('c2', q{SELECT string_agg(DISTINCT car, ' ' ORDER BY car) FROM ONLY note}), 'here', 'one client is resident at c2');
is($f->sql('c2', 'SELECT count(*), count(DISTINCT car) FROM note'), '16|4', 'c2 reads all');

# What a role gets on c2.
sub as { my ($role, $sql) = @_; return $f->sql('c2', "SET ROLE $role; $sql"); }
sub denied {
	my ($role, $sql, $what, $pattern) = @_;
	return like($f->error_of('c2', "SET ROLE $role; $sql"), $pattern // qr/ERROR:  42501: permission denied for table note/, $what);
}
my $each = 'string_agg(car || id, \' \' ORDER BY car, id)';

# Without privileges.
for my $car (@clients) {
	denied('nobody', $_, "without privileges: $_")
	  for "SELECT 1 FROM note WHERE car = '$car'", "UPDATE note SET words = 'x' WHERE car = '$car'", "DELETE FROM note WHERE car = '$car'", "INSERT INTO note (car, id) VALUES ('$car', 9)",
		"SELECT 1 FROM note WHERE car = '$car' FOR UPDATE";
}
denied('nobody', 'SELECT count(*) FROM note', 'without privileges: all');
denied('nobody', 'COPY (SELECT * FROM note) TO STDOUT', 'without privileges: COPY');

# Privileges on columns.
$f->sql('c2', 'GRANT SELECT (car, id, words), UPDATE (words), DELETE ON note TO cat');
is(as('cat', "SELECT $each FROM note WHERE words = 'words 3'"), 'cold3 far_cold3 here3 there3', 'columns that are granted are read everywhere');
for my $car (@clients) {
	denied('cat', $_, "columns: $_") for "SELECT secret FROM note WHERE car = '$car'", "SELECT * FROM note WHERE car = '$car'", "SELECT car FROM note WHERE car = '$car' AND secret = 'secret 1'",
	  "UPDATE note SET secret = 'x' WHERE car = '$car'", "UPDATE note SET words = secret WHERE car = '$car'", "UPDATE note SET words = 'x' WHERE car = '$car' RETURNING secret";
	is(as('cat', "UPDATE note SET words = 'by cat' WHERE car = '$car' AND id = 4 RETURNING words"), 'by cat', "columns: a granted one of $car is written");
	is(as('cat', "DELETE FROM note WHERE car = '$car' AND id = 4 RETURNING id"), '4', "a row of $car is deleted");
	$f->sql('c2', "INSERT INTO note VALUES ('$car', 4, 'bob', 'secret 4', 'words 4')") if $home{$car} eq 'c2';
	$f->sql('c1', "INSERT INTO note VALUES ('$car', 4, 'bob', 'secret 4', 'words 4')") if $home{$car} eq 'c1';
}
freeze();
$f->sql('c2', 'GRANT UPDATE (words) ON note TO nobody');
is($f->sql('c2', q{SET ROLE nobody; WITH w AS (UPDATE note SET words = 'blind' RETURNING 1) SELECT count(*) FROM w}), '16', 'who may write a column and read none writes it everywhere');
is($f->sql('c2', q{SELECT count(*) FROM note WHERE words = 'blind'}), '16', 'and it is written');
$f->sql('c2', q{REVOKE ALL ON note FROM nobody; UPDATE note SET words = 'words ' || id});
freeze();

# Row security.
$f->sql('c2', q{GRANT SELECT, INSERT, UPDATE, DELETE ON note TO ann, bob;
  ALTER TABLE note ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON note TO ann, bob USING (owner = current_user) WITH CHECK (owner = current_user AND words <> 'no');
  CREATE POLICY by_setting ON note FOR SELECT TO cat USING (car = current_setting('app.car', true))});
is(as('ann', "SELECT $each FROM note"), 'cold1 cold3 far_cold1 far_cold3 here1 here3 there1 there3', 'a policy on current_user: all clients');
is(as('bob', "SELECT $each FROM note"), 'cold2 cold4 far_cold2 far_cold4 here2 here4 there2 there4', 'and for another role');
for my $car (@clients) {
	is(as('ann', "SELECT $each FROM note WHERE car = '$car'"), "${car}1 ${car}3", "a policy on current_user: $car");
	is(as('ann', "SELECT count(*) FROM note WHERE car = '$car' AND id = 2"), '0', "a hidden row of $car");
	is(as('cat', "SET app.car = '$car'; SELECT $each FROM note"), "${car}1 ${car}2 ${car}3 ${car}4", "a policy on a setting: $car");
	is(as('cat', "SET app.car = '$car'; SELECT count(*) FROM note WHERE car = 'other'"), '0', "a policy on a setting: not $car");
}
is(as('nobody', 'RESET ROLE; GRANT SELECT ON note TO nobody; SET ROLE nobody; SELECT count(*) FROM note'), '0', 'without a policy nothing is seen');
is($f->sql('c2', "PREPARE p AS SELECT $each FROM note WHERE car IN ('there', 'cold'); SET ROLE ann; EXECUTE p; SET ROLE bob; EXECUTE p; RESET ROLE; EXECUTE p"),
	"cold1 cold3 there1 there3\ncold2 cold4 there2 there4\ncold1 cold2 cold3 cold4 there1 there2 there3 there4", 'a prepared statement follows the role');

# Functions of the asker, and built-in ones that tell in errors what they are given.
$f->sql('c2', q{SET ROLE ann; CREATE FUNCTION leak(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END$$});
$f->sql('c2', q{SET ROLE ann; CREATE FUNCTION leak_immutable(text) RETURNS boolean IMMUTABLE COST 0.0000001 LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END$$});
for my $function ('leak', 'leak_immutable') {
	for my $where ('true', map { "car = '$_'" } @clients) {
		my ($rc, $out, $err) = $f->node('c2')->psql('postgres', "SET ROLE ann; SELECT count(*) FROM note WHERE $function(secret) AND $where");
		unlike($err, qr/seen secret [24]/, "$function where $where sees no hidden row");
		is(scalar(() = $err =~ /seen secret [13]/g), $where eq 'true' ? 8 : 2, "$function where $where sees the others");
	}
	unlike(as('ann', "EXPLAIN (VERBOSE) SELECT count(*) FROM note WHERE $function(secret)"), qr/Remote SQL:.*leak/, "$function is not shipped");
}
for my $where ('true', map { "car = '$_'" } @clients) {
	my $error = $f->error_of('c2', "SET ROLE ann; SELECT count(*) FROM note WHERE parse_ident(secret || '!') IS NULL AND id % 2 = 0 AND $where");
	unlike($error, qr/secret [24]/, "an error of a built-in function where $where tells nothing of hidden rows");
}
is(as('ann', q{SELECT count(*) FROM note WHERE 1 / (id - 2) > 0}), '4', 'nor does a division by zero');

# Writing under row security, at the home and in the store.
for my $car (@clients) {
	is(as('ann', "WITH w AS (UPDATE note SET words = 'by ann' WHERE car = '$car' RETURNING id) SELECT string_agg(id::text, ' ' ORDER BY id) FROM w"), '1 3', "UPDATE hits the visible rows of $car");
	is(as('ann', "WITH w AS (DELETE FROM note WHERE car = '$car' AND id = 2 RETURNING id) SELECT count(*) FROM w"), '0', "DELETE of a hidden row of $car");
	is(as('ann', "SELECT count(*) FROM (SELECT FROM note WHERE car = '$car' FOR UPDATE) x"), '2', "FOR UPDATE locks the visible rows of $car");
	freeze();
	denied('ann', $_, "refused: $_", qr/ERROR:  42501: new row violates row-level security policy/)
	  for "UPDATE note SET owner = 'bob' WHERE car = '$car'", "UPDATE note SET words = 'no' WHERE car = '$car' AND id = 1", "INSERT INTO note VALUES ('$car', 7, 'bob', 'x', 'x')",
	  "INSERT INTO note VALUES ('$car', 1, 'ann', 'x', 'x') ON CONFLICT (car, id) DO UPDATE SET words = 'no'";
	denied('ann', $_, "refused: $_", qr/ERROR:  42501: new row violates row-level security policy \(USING expression\)/)
	  for "INSERT INTO note VALUES ('$car', 2, 'ann', 'x', 'x') ON CONFLICT (car, id) DO UPDATE SET words = 'mine'";
	is($f->sql($home{$car}, "SELECT string_agg(owner || words, ' ' ORDER BY id) FROM note WHERE car = '$car'"), 'annby ann bobwords 2 annby ann bobwords 4', "the home has what was allowed of $car");
}
freeze();

# Views: the rights are the owner's.
$f->sql('c2', q{CREATE VIEW odd WITH (security_barrier) AS SELECT car, id, words, secret FROM note WHERE id % 2 = 1; GRANT SELECT, UPDATE, DELETE ON odd TO nobody; REVOKE ALL ON note FROM nobody;
  CREATE VIEW checked AS SELECT car, id, words FROM note WHERE words <> 'hidden' WITH CHECK OPTION; GRANT SELECT, UPDATE ON checked TO nobody; GRANT USAGE ON SCHEMA public TO nobody;
  CREATE FUNCTION peek(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END$$});
for my $car (@clients) {
	my ($rc, $out, $err) = $f->node('c2')->psql('postgres', "SET ROLE nobody; SELECT count(*) FROM odd WHERE peek(secret) AND car = '$car'");
	is($out, '2', "a security barrier: rows of $car");
	unlike($err, qr/seen secret [24]/, "a security barrier hides rows of $car");
	is(as('nobody', "WITH w AS (UPDATE odd SET words = 'view' WHERE car = '$car' RETURNING id) SELECT count(*) FROM w"), '2', "UPDATE of $car through a view");
	freeze();
	denied('nobody', "UPDATE checked SET words = 'hidden' WHERE car = '$car'", "WITH CHECK OPTION holds for $car", qr/ERROR:  44000/);
	freeze();
	is(as('nobody', "WITH w AS (DELETE FROM odd WHERE car = '$car' AND id = 3 RETURNING id) SELECT count(*) FROM w"), '1', "DELETE of $car through a view");
	$f->sql($home{$car}, "INSERT INTO note VALUES ('$car', 3, 'ann', 'secret 3', 'words 3')");
}
freeze();

# SECURITY DEFINER: rights of the function's owner.
$f->sql('c2', q{CREATE FUNCTION all_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.note'});
$f->sql('c2', q{CREATE FUNCTION ann_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.note'; ALTER FUNCTION ann_notes OWNER TO ann});
is(as('nobody', 'SELECT all_notes(), ann_notes()'), '16|8', 'SECURITY DEFINER');

# The owner, and FORCE ROW LEVEL SECURITY.
$f->sql('c2', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE note OWNER TO keeper')});
is(as('keeper', 'SELECT count(*) FROM note'), '16', 'the owner sees all');
$f->sql('c2', 'ALTER TABLE note FORCE ROW LEVEL SECURITY; CREATE POLICY few ON note TO keeper USING (id = 1)');
is(as('keeper', "SELECT $each FROM note"), 'cold1 far_cold1 here1 there1', 'but for FORCE ROW LEVEL SECURITY');
is(as('keeper', q{WITH w AS (UPDATE note SET words = 'kept' RETURNING id) SELECT count(*) FROM w}), '4', 'who writes what he sees');
freeze();
is($f->bring('c2', 'there'), 1, 'copies come as ever');
is($f->sql('c2', q{SELECT count(*) FROM ONLY note WHERE car = 'there'}), '4', 'with all rows');
$f->sql('c1', q{DELETE FROM note WHERE car = 'there' AND id = 3; UPDATE note SET words = 'shipped' WHERE car = 'there'; INSERT INTO note VALUES ('there', 5, 'bob', 'secret 5', 'shipped')});
$f->poll('c2', q{SELECT string_agg(id || words, ' ' ORDER BY id) FROM ONLY note WHERE car = 'there'}, '1shipped 2shipped 4shipped 5shipped', 'changes reach rows that the owner hides from himself');
$f->sql('c1', q{DELETE FROM note WHERE car = 'there' AND id = 5; INSERT INTO note VALUES ('there', 3, 'ann', 'secret 3', 'words 3')});
$f->poll('c2', q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM ONLY note WHERE car = 'there'}, '1 2 3 4', 'deletes too');
ok($f->send_away('c2', 'there'), 'and go');
$f->sql('c1', q{ALTER TABLE note ENABLE ROW LEVEL SECURITY; ALTER TABLE note FORCE ROW LEVEL SECURITY});
is(as('ann', "SELECT $each FROM note WHERE car = 'there'"), 'there1 there3', 'policies at the home are not those of the asker');

# Triggers of the owner have the owner's rights, at the home and on cold clients, though the peer's role is superuser.
for my $node ('c1', 'c2') {
	$f->sql($node, q{SET ROLE keeper; CREATE TABLE seen (who text, car text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS
	  $$BEGIN INSERT INTO seen VALUES (current_user, coalesce(new.car, old.car)); RETURN coalesce(new, old); END$$;
	  CREATE TRIGGER see BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION see(); CREATE TRIGGER saw AFTER UPDATE OR DELETE ON note FOR EACH ROW EXECUTE FUNCTION see()});
}
freeze();
$f->sql('c2', q{UPDATE note SET words = 'triggers' WHERE car IN ('cold', 'there', 'far_cold') AND id = 1});
is($f->sql($_, q{SELECT string_agg(DISTINCT who, ' '), count(*) FROM seen}), $_ eq 'c1' ? 'keeper|4' : 'keeper|2', "$_: triggers run as the table's owner") for 'c1', 'c2';
$f->sql($_, 'DROP TRIGGER see ON note; DROP TRIGGER saw ON note') for 'c1', 'c2';
freeze();

# The child.
$f->sql('c2', 'GRANT ALL ON ALL TABLES IN SCHEMA public TO ann, keeper');
for my $role ('ann', 'keeper', 'nobody') {
	like($f->error_of('c2', "SET ROLE $role; $_"), qr/ERROR:  42501/, "$role may not: $_")
	  for 'SELECT count(*) FROM note_elsewhere', "SELECT secret FROM note_elsewhere WHERE car = 'there'", "UPDATE note_elsewhere SET words = 'x'", "DELETE FROM note_elsewhere WHERE car = 'cold'",
	  'COPY (SELECT * FROM note_elsewhere) TO STDOUT', "SELECT 1 FROM note_elsewhere WHERE car = 'there' FOR UPDATE";
}
is(as('ann', "SELECT $each FROM note"), 'cold1 cold3 far_cold1 far_cold3 here1 here3 there1 there3', 'the table itself as ever');
is($f->sql('c2', 'SELECT count(*) FROM note_elsewhere'), '12', 'a superuser may read the child');

$f->sql('c2', q{SELECT vectorshard.run_on_all_nodes('GRANT SELECT ON note TO nobody; CREATE POLICY few_words ON note FOR SELECT TO nobody USING (id = 2)')});
$f->poll('c1', q{SELECT count(*) FROM pg_policy WHERE polname = 'few_words'}, '1', 'grants and policies go to all nodes');
is($f->sql($_, "SET ROLE nobody; SELECT $each FROM note"), 'cold2 far_cold2 here2 there2', "$_ keeps to them") for 'c1', 'c2';

# Sessions at the other node.
my $sessions = q{FROM pg_stat_activity WHERE application_name = 'vectorshard read' AND backend_type = 'client backend'};
$f->poll('c1', "SELECT count(*) $sessions", '0', 'no session is left at c1 once those at c2 have ended');
$f->sql('c2', 'ALTER TABLE note NO FORCE ROW LEVEL SECURITY; ALTER TABLE note DISABLE ROW LEVEL SECURITY');
my $s = Session->new($f->node('c2'));
$s->ask('SET ROLE ann');
$s->ask(q{SELECT count(*) FROM note WHERE car = 'there'});
my $pid = $f->sql('c1', "SELECT pid $sessions");
like($pid, qr/^\d+$/, 'one session at c1');
my $holder = Session->new($f->node('c1'));
my %fails = (
	q{UPDATE note SET secret = 'forbidden' WHERE car = 'there' AND id = 3} => qr/violates check constraint/,
	q{SET statement_timeout = '300ms'; UPDATE note SET words = 'w' WHERE car = 'there' AND id = 1; RESET statement_timeout} => qr/statement timeout/,
	q{SET lock_timeout = '200ms'; UPDATE note SET words = 'w' WHERE car = 'there' AND id = 1; RESET lock_timeout} => qr/lock timeout/,
	q{BEGIN; UPDATE note SET words = 'w' WHERE car = 'there' AND id = 2; SELECT 1 / 0; COMMIT} => qr/division by zero/,
	q{BEGIN; SELECT count(*) FROM note; SAVEPOINT s; UPDATE note SET secret = 'forbidden' WHERE car = 'there' AND id = 3; ROLLBACK TO s; UPDATE note SET words = 'w' WHERE car = 'there' AND id = 2; ROLLBACK} => qr/check constraint/,
	q{DECLARE c CURSOR WITH HOLD FOR SELECT 1 / (id - 4) FROM note WHERE car = 'there'} => qr/division by zero/,
	q{SELECT id FROM note WHERE car = 'there' AND id = 1 FOR UPDATE NOWAIT} => qr/could not obtain lock/,
);
for my $sql (sort keys %fails) {
	$holder->ask(q{BEGIN; SELECT id FROM note WHERE car = 'there' AND id = 1 FOR UPDATE});
	like($s->ask($sql), $fails{$sql}, "fails: $sql");
	$s->ask('ROLLBACK; RESET statement_timeout; RESET lock_timeout');
	$holder->ask('ROLLBACK');
	$f->poll('c1', "SELECT count(*) $sessions AND state <> 'idle'", '0', 'leaves nothing open at c1');
	cmp_ok($f->sql('c1', "SELECT count(*) $sessions"), '<=', 1, 'and no second session');
}
is($s->ask(q{SELECT count(*) FROM note WHERE car = 'there'}), '4', 'the application goes on');
$pid = $f->sql('c1', "SELECT pid $sessions");
for my $i (1 .. 200) {
	my $got = $i % 10 ? $s->ask("SELECT id FROM note WHERE car = 'there' AND id = " . (1 + $i % 4)) : $s->ask(q{UPDATE note SET secret = 'forbidden' WHERE car = 'there'});
	next if $got eq 1 + $i % 4 || $i % 10 == 0 && $got =~ /check constraint/;
	fail("query $i: $got");
}
is($f->sql('c1', "SELECT string_agg(pid::text || state, ' ') $sessions"), "${pid}idle", '200 queries and errors at one session of c1');
$f->sql('c1', "SELECT pg_terminate_backend($pid)");
$f->poll('c1', "SELECT count(*) $sessions", '0', 'it is terminated');
is($s->ask(q{SELECT count(*) FROM note WHERE car = 'there'}), '4', 'the next query makes another');
$s->finish;
$holder->finish;
$f->poll('c1', "SELECT count(*) $sessions", '0', 'and the last one ends with the application');
done_testing();
