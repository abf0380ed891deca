# Topology: core nodes c1 and c2 that log in at each other as `fabric`, an ordinary role with nothing but vectorshard_peer; edge e1, which
# logs in as a superuser. All multi-node tests use such a role; here it is a thief's.
# Proves: a role without these rights is told what it lacks; who has the role's password can read and change enrolled tables, call what nodes
# call, and nothing else: no other tables, files, programs, roles, settings, functions of operators; no code of his runs with other rights than
# the role's, and no code of a table's owner with other rights than his; a node may keep to itself what others want to define.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\nautovacuum = off");
$f->add_server('c2');
my $dir = PostgreSQL::Test::Utils::tempdir();

# Who has no rights here is told so.
$f->sql('c1', q{CREATE ROLE stranger LOGIN});
$f->prepare_join('c2', 'c1');
$f->sql('c2', q{ALTER USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (SET user 'stranger')});
my $join = "SELECT vectorshard.join_fabric('c2', 'hub', " . $f->next_place . ", kind => 'core')";
like($f->error_of('c2', $join), qr/ERROR:  42501: permission denied for function .*DETAIL:  It was asked of host=127.0.0.1 port=\d+ dbname=postgres user=stranger.*HINT:  .*GRANT vectorshard_peer TO/s,
	'a role without the rights of nodes cannot join');
is($f->sql('c2', 'SELECT count(*) FROM vectorshard.node'), '0', 'and nothing is changed');
$f->sql('c2', q{ALTER USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (SET user 'fabric')});
$f->sql('c2', $join);
$f->add_server('e1');
$f->{superuser} = 1;
$f->join('e1');
$f->sql($_, 'CREATE ROLE keeper LOGIN; CREATE SCHEMA app AUTHORIZATION keeper') for 'c1', 'c2', 'e1';
$f->sql('c1', q{SET ROLE keeper; CREATE TABLE app.note (car text, id int, words varchar(100), size numeric(6,2), tags text[], at timestamptz(0), PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('app.note', 'car')});
$f->poll($_, q{SELECT relhastriggers FROM pg_class WHERE oid = to_regclass('app.note')}, 't', "$_ has the table") for 'c2', 'e1';
$f->sql($_->[0], "INSERT INTO app.note SELECT '$_->[1]', i, 'words ' || i, i, '{a}', now() FROM generate_series(1, 4) i") for [ 'c1', 'there' ], [ 'c2', 'here' ];
$f->poll($_, 'SELECT count(*) FROM vectorshard.client', '2', "$_ knows the clients") for 'c1', 'c2', 'e1';
is($f->sql($_, 'SELECT count(*) FROM app.note'), '8', "$_ reads the fabric") for 'c1', 'c2', 'e1';
is($f->sql('e1', q{WITH w AS (UPDATE app.note SET words = 'by e1' WHERE id = 1 RETURNING 1) SELECT count(*) FROM w}), '2', 'a superuser of nodes works as ever');
is($f->sql($_, q{SELECT bool_or(rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) FROM pg_roles WHERE rolname IN ('fabric', 'vectorshard_peer')}), 'f',
	"$_: the role of nodes is an ordinary one") for 'c1', 'c2';
is($f->sql('c1', q{SELECT string_agg(DISTINCT usename, ' ' ORDER BY usename) = 'fabric ' || current_user FROM pg_stat_activity WHERE application_name LIKE 'vectorshard%' AND backend_type = 'client backend'}),
	't', 'as which they are logged in');

# A thief: psql with the role's password.
sub thief {
	my ($sql) = @_;
	my ($rc, $out, $err) = $f->node('c1')->psql('postgres', $sql, extra_params => [ '-U', 'fabric', '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : $out;
}
sub denied { my ($sql, $pattern) = @_; return like(thief($sql), $pattern // qr/ERROR:  42501/, "denied: $sql"); }
my $home = q{SET vectorshard.read_scope = 'home'; };
$f->sql('c1', q{CREATE TABLE secret (s text); INSERT INTO secret VALUES ('hidden'); CREATE TABLE app.plain (i int); CREATE FUNCTION app.own() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT s FROM public.secret';
  REVOKE ALL ON FUNCTION app.own() FROM PUBLIC});
denied($_) for 'SELECT * FROM pg_authid', 'SELECT umoptions FROM pg_user_mapping', q{COPY (SELECT 1) TO PROGRAM 'true'}, q{COPY pg_temp.x FROM '/etc/passwd'} =~ s/pg_temp.x/pg_class/r, q{SELECT pg_read_file('PG_VERSION')},
  q{SELECT lo_import('/etc/passwd')}, 'SET ROLE keeper', 'SET SESSION AUTHORIZATION keeper', 'CREATE ROLE more', 'CREATE DATABASE more', 'CREATE EXTENSION postgis_topology', q{ALTER SYSTEM SET work_mem = '1MB'},
  q{SET session_replication_role = replica}, q{SET vectorshard.accept_ddl_from_peers = on}, 'CREATE TABLE app.mine (i int)', 'CREATE TABLE vectorshard.mine (i int)', 'ALTER TABLE app.note OWNER TO fabric',
  'GRANT vectorshard_peer TO stranger', q{SELECT pg_create_logical_replication_slot('x', 'pgoutput')}, 'DROP TABLE app.note', 'TRUNCATE app.note', 'BEGIN; LOCK TABLE app.note',
  'SELECT pg_terminate_backend(' . $f->sql('c1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'}) . ')';
like(thief('SELECT count(umoptions) FROM pg_user_mappings'), qr/^0$/, 'no password is shown');
for my $scope ('', $home) {
	denied("$scope$_") for 'SELECT * FROM secret', 'SELECT * FROM app.plain', 'SELECT * FROM app.note_elsewhere', 'SELECT app.own()', 'SELECT * FROM vectorshard.resident', 'SELECT * FROM vectorshard.conflict',
	  'INSERT INTO vectorshard.ddl SELECT * FROM vectorshard.ddl', q{UPDATE vectorshard.node SET host = 'x'}, 'DELETE FROM vectorshard.client', 'TABLE vectorshard.peer_debt', 'TABLE vectorshard.ddl_done';
}
denied($_) for 'SELECT * FROM app.note', q{UPDATE app.note SET words = 'x'}, q{COPY app.note TO STDOUT};
is(thief("${home}SELECT count(*) FROM app.note WHERE car = 'there'"), '4', 'what it may: read enrolled tables');
is(thief("${home}BEGIN; DECLARE c CURSOR FOR SELECT t.id FROM app.note t WHERE t.car = 'there' ORDER BY 1; FETCH 2 FROM c; COMMIT"), "1\n2", 'by cursors too');
is(thief("${home}PREPARE p AS SELECT count(*) FROM (SELECT FROM app.note WHERE car = 'there' FOR UPDATE) x; EXECUTE p"), '4', 'and prepared, with locks');
is(thief("${home}COPY (SELECT count(*) FROM ONLY app.note) TO STDOUT"), '4', 'and by COPY of a query');
denied("${home}COPY app.note TO STDOUT");
denied("${home}CREATE TEMP TABLE got AS SELECT * FROM app.note");

# Functions: the list, and that it is complete.
is($f->sql('c1', q{SELECT string_agg(DISTINCT p.proname, ' ' ORDER BY p.proname) FROM pg_proc p, aclexplode(p.proacl) a
    WHERE a.grantee = 'vectorshard_peer'::regrole AND p.prokind = 'f' AND p.pronamespace = 'vectorshard'::regnamespace}),
	'apply become_home birth_client check_here confirm_home copy_announce copy_export delivered digest_between digest_here evict_handshake flush_applied grant_life held_here hello holds home_marks is_attached node_left owe '
	  . 'peer_check_fabric peer_move_home raise_version range_digests range_rows register_node ship_mark start_token table_definition take_home take_over_debt wall_clock_ms', 'functions for nodes');
is($f->sql('c1', q{SELECT count(*) FROM pg_proc p WHERE p.proname NOT LIKE 'state15\_%' AND has_function_privilege('fabric', p.oid, 'EXECUTE') AND NOT has_function_privilege('stranger', p.oid, 'EXECUTE')}), '33', 'are, with aggregates of states, all that the role has more than anybody');
is($f->sql('c1', q{SELECT count(*) FROM pg_class c WHERE c.relkind IN ('r', 'v', 'f', 'p', 'S') AND c.relnamespace <> 'vectorshard'::regnamespace
    AND (has_table_privilege('fabric', c.oid, 'SELECT, INSERT, UPDATE, DELETE') AND NOT has_table_privilege('stranger', c.oid, 'SELECT, INSERT, UPDATE, DELETE'))}), '0', 'and it has no grant on a table of users');
denied("SELECT vectorshard.$_") for q{create_fabric('x', NULL)}, q{join_fabric('x', 'hub', NULL)}, q{remove_node('c2', true)}, q{transfer_registrar('c2')}, q{place('there', 'c2')}, q{evict('there')}, q{move_home('there', 'c2')},
  q{run_on_all_nodes('DROP TABLE app.note')}, q{accept_ddl()}, q{ask_node(1, 'SELECT 1')}, q{create_store('x', 'file:///tmp')}, q{forbid('there', 'c2')}, q{check_fabric()}, q{boot_uuid()}, q{execute_ddl('', 'SELECT 1')}, q{run_statements()};

# Changes: values alone, or no rights. What it computes itself, it computes with its own.
for my $set (q{words = 'new', size = 1.25, tags = '{b}', at = '2030-01-01'}, q{words = NULL}) {
	is(thief("${home}UPDATE app.note SET $set WHERE car = 'there' AND id = 2 RETURNING id"), '2', "what it may: UPDATE SET $set");
}
is(thief("${home}INSERT INTO app.note (car, id, words) VALUES ('there', 9, 'nine') ON CONFLICT DO NOTHING RETURNING id"), '9', 'INSERT');
is(thief("${home}DELETE FROM app.note WHERE car = 'there' AND id = 9 RETURNING id"), '9', 'DELETE');
my $who = q{CREATE FUNCTION pg_temp.who() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN current_user; END'; };
my $steal = q{CREATE FUNCTION pg_temp.steal(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM s FROM public.secret; RETURN true; END'; };
my $deny = qr/ERROR:  42501: permission denied for table note/;
denied("$home$who$_", $deny) for q{UPDATE app.note SET words = pg_temp.who() WHERE car = 'there'}, q{UPDATE app.note SET words = 'x' WHERE words = pg_temp.who()}, q{INSERT INTO app.note (car, id, words) VALUES ('there', 9, pg_temp.who())},
  q{INSERT INTO app.note (car, id) SELECT 'there', 9}, q{DELETE FROM app.note WHERE car = 'there' RETURNING pg_temp.who()}, q{WITH w AS (UPDATE app.note SET words = 'x' WHERE car = 'there' RETURNING 1) SELECT count(*) FROM w},
  q{UPDATE app.note SET words = query_to_xml('SELECT s FROM public.secret', true, true, '')::text}, q{UPDATE app.note SET words = (SELECT 'x')}, q{UPDATE app.note SET words = n.words FROM app.note n},
  q{INSERT INTO app.note (car, id) VALUES ('there', 1) ON CONFLICT (car, id) DO UPDATE SET words = pg_temp.who()}, q{EXPLAIN ANALYZE UPDATE app.note SET words = pg_temp.who()},
  q{CREATE DOMAIN pg_temp.d AS text CHECK (VALUE <> pg_temp.who()); UPDATE app.note SET words = 'x'::pg_temp.d};
denied("${home}${steal}SELECT count(*) FROM app.note WHERE pg_temp.steal(words)", qr/ERROR:  42501: permission denied for table secret/);
is(thief("$home${who}SELECT DISTINCT pg_temp.who() FROM app.note WHERE car = 'there'"), 'fabric', 'a function in a condition runs as the role itself');
# Rights that others gave are not mixed with those of the owner.
$f->sql('c1', q{GRANT SELECT, UPDATE ON app.note TO PUBLIC; CREATE VIEW app.door AS SELECT * FROM app.note; GRANT SELECT, UPDATE ON app.door TO PUBLIC});
is(thief("${who}PREPARE p AS UPDATE app.note SET words = pg_temp.who() WHERE car = 'there' AND id = 2 RETURNING words; ${home}EXECUTE p"), 'fabric', 'a statement prepared before');
is(thief("$home${who}UPDATE app.door SET words = pg_temp.who() WHERE car = 'there' AND id = 2 RETURNING words"), 'fabric', "through a superuser's view");
$f->sql('c1', 'DROP VIEW app.door; REVOKE ALL ON app.note FROM PUBLIC');

# The owner of a table: his triggers and checks at the home of a row have his rights, whoever changes it where, and leave the session as it was.
$f->sql('c1', q{SET ROLE keeper; CREATE TABLE app.seen (what text, who text);
  CREATE FUNCTION app.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO app.seen VALUES (tg_name, current_user); PERFORM set_config('search_path', 'app', false); PERFORM set_config('app.x', 'y', false); RETURN new; END$$;
  CREATE FUNCTION app.fine(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO app.seen VALUES ('check', current_user); RETURN true; END$$;
  CREATE TRIGGER before BEFORE UPDATE ON app.note FOR EACH ROW EXECUTE FUNCTION app.see();
  CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON app.note DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.see();
  ALTER TABLE app.note ADD CHECK (app.fine(words)) NOT VALID});
for my $by ('c2', 'e1') {
	$f->sql('c1', 'DELETE FROM app.seen');
	$f->sql($by, q{UPDATE app.note SET words = 'seen' WHERE car = 'there' AND id = 3});
	is($f->sql('c1', q{SELECT string_agg(DISTINCT what || ' ' || who, ', ' ORDER BY what || ' ' || who) FROM app.seen}), 'before keeper, check keeper, later keeper', "changes of $by: code of the owner runs as the owner");
}
is(thief("${home}UPDATE app.note SET words = 'x' WHERE car = 'there' AND id = 3; SHOW search_path"), '"$user", public', 'settings that a trigger makes end with the statement');
$f->sql('c1', q{SET ROLE keeper; CREATE OR REPLACE FUNCTION app.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM vectorshard.wall_clock_ms(); RETURN new; END$$});
like($f->error_of('c2', q{UPDATE app.note SET words = 'x' WHERE car = 'there' AND id = 3}), qr/ERROR:  42501: permission denied for function wall_clock_ms/, 'a trigger may not what nodes may');
$f->sql('c1', q{SET ROLE keeper; CREATE OR REPLACE FUNCTION app.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN SET ROLE fabric; RETURN new; END$$});
like($f->error_of('c2', q{UPDATE app.note SET words = 'x' WHERE car = 'there' AND id = 3}), qr/ERROR:  42501: cannot set parameter "role" within security-definer function/, 'nor become them');
$f->sql('c1', 'DROP TRIGGER before ON app.note; DROP TRIGGER later ON app.note; ALTER TABLE app.note DROP CONSTRAINT note_words_check');

$f->sql('c1', 'CREATE RULE r AS ON DELETE TO app.note DO ALSO SELECT app.fine(NULL)');
like($f->error_of('c2', q{DELETE FROM app.note WHERE car = 'there'}), qr/ERROR:  0A000: table app.note has rules.*DETAIL:.*HINT:  Use triggers/s, 'rules would have the rights of nodes');
$f->sql('c1', 'DROP RULE r ON app.note');

# Row security of the home does not bind what nodes ask, forced or not.
$f->sql('c1', 'ALTER TABLE app.note ENABLE ROW LEVEL SECURITY; ALTER TABLE app.note FORCE ROW LEVEL SECURITY');
is($f->sql('c2', q{SELECT count(*) FROM app.note}), '8', 'read past row security at the home');
is($f->sql('c2', q{WITH w AS (UPDATE app.note SET words = 'w' WHERE car = 'there' RETURNING 1) SELECT count(*) FROM w}), '4', 'and changed');
$f->sql('c1', 'ALTER TABLE app.note NO FORCE ROW LEVEL SECURITY; ALTER TABLE app.note DISABLE ROW LEVEL SECURITY');

# A role that loses the rights is told so where it is used, and all heals when it has them again.
$f->sql('c1', 'REVOKE vectorshard_peer FROM fabric');
like($f->error_of('c2', q{SELECT count(*) FROM app.note WHERE car = 'there'}), qr/ERROR:  42501: node "c1" cannot be reached.*HINT:  .*GRANT vectorshard_peer/s, 'a read tells what the role lacks');
$f->sql('c2', q{UPDATE app.note SET words = 'kept' WHERE car = 'here'; INSERT INTO app.note VALUES ('here', 5, 'kept')});
$f->node('c1')->psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fabric'});
$f->poll('c2', q{SELECT last_error LIKE '%permission denied for function hello (%GRANT vectorshard_peer%' FROM vectorshard.ship_lag WHERE node = 'c1'}, 't', 'ship_lag too');
$f->sql('c1', 'GRANT vectorshard_peer TO fabric');
$f->poll('c2', q{SELECT connected AND debts = 0 AND queue_rows = 0 FROM vectorshard.ship_lag WHERE node = 'c1'}, 't', 'it heals');
is($f->sql('c2', q{SELECT count(*) FROM app.note WHERE car = 'there'}), '4', 'and is read');

# A node that keeps to itself what others define.
$f->sql('c2', 'ALTER SYSTEM SET vectorshard.accept_ddl_from_peers = off');
$f->node('c2')->reload;
$f->poll('c2', 'SHOW vectorshard.accept_ddl_from_peers', 'off', 'c2 accepts no definitions');
mkdir "$dir/store";
$f->sql('c1', qq{SELECT vectorshard.run_on_all_nodes('CREATE TABLE common (i int)'); CREATE TABLE app.other (car text PRIMARY KEY, n int); SELECT vectorshard.create_vector_shard_table('app.other', 'car');
  SELECT vectorshard.create_store('attic', 'file://$dir/store')});
$f->poll('e1', q{SELECT to_regclass('common') IS NOT NULL AND to_regclass('app.other') IS NOT NULL AND (SELECT count(*) = 1 FROM vectorshard.store)}, 't', 'e1 has all of it');
$f->poll('c2', q{SELECT string_agg(DISTINCT kind || ' ' || table_name, ', ') FROM vectorshard.conflicts WHERE resolved IS NULL AND reason LIKE '%before accept_ddl() is called: vectorshard.accept_ddl_from_peers is off.'}, 'ddl , definition app.other',
	'c2 shows what is waiting');
is($f->sql('c2', q{SELECT to_regclass('common') IS NULL AND to_regclass('app.other') IS NULL AND (SELECT count(*) = 0 FROM vectorshard.store)}), 't', 'and has nothing of it');
$f->sql('c1', q{INSERT INTO app.other VALUES ('there', 1); INSERT INTO app.note VALUES ('there', 7, 'still')});
is($f->sql('c2', q{SELECT words FROM app.note WHERE car = 'there' AND id = 7}), 'still', 'other tables go on');
# The worker comes by before that is committed, and must not note that the statement waits still.
my $accepting = Session->new($f->node('c2'));
$accepting->ask('BEGIN');
like($accepting->ask('SELECT vectorshard.accept_ddl()'), qr/^t$/m, 'accepted by hand');
$f->sql('c2', 'SELECT vectorshard.bump_catalog_epoch()');
$f->wait_for(sub { $f->sql('c2', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vectorshard holder' AND wait_event_type = 'Lock'}) }, 3);
$accepting->ask('COMMIT');
$accepting->finish;
is($f->sql('c2', q{SELECT n FROM app.other WHERE car = 'there'}), '1', 'the table is there');
is($f->sql('c2', q{SELECT count(*) FROM common}), '0', 'the other too');
is($f->sql('c2', q{SELECT count(*) FROM vectorshard.conflicts WHERE resolved IS NULL}), '0', 'nothing is waiting');
is($f->sql('c2', 'SELECT count(*) FROM vectorshard.store'), '0', 'but for the store');
$f->sql('c2', 'ALTER SYSTEM RESET vectorshard.accept_ddl_from_peers');
$f->node('c2')->reload;
$f->poll('c2', 'SELECT count(*) FROM vectorshard.store', '1', 'which comes when the setting is on');

# The role is the cluster's.
$f->node('c1')->safe_psql('postgres', 'CREATE DATABASE second');
$f->node('c1')->safe_psql('second', 'CREATE EXTENSION vectorshard CASCADE');
$f->node('c1')->safe_psql('second', 'DROP EXTENSION vectorshard; CREATE EXTENSION vectorshard');
is($f->node('c1')->safe_psql('second', q{SELECT shobj_description(oid, 'pg_authid') LIKE 'vectorshard:%' AND NOT rolcanlogin FROM pg_roles WHERE rolname = 'vectorshard_peer'}), 't', 'extensions of several databases share the role');
is($f->sql('c2', 'SELECT count(*) FROM app.note'), '10', 'and leave it to each other');
done_testing();
