# Topology: core c1 and edges e1, e2; later e3 joins. check_rate = 0.
# Proves: run_on_all_nodes() reaches every node, in order, under writers, without losing a row; a node that was away runs what
# it missed before it takes rows; a statement that fails on one node is visible and tried again, and holds up no other table;
# an ALTER on one node alone pauses that table for its peers, which ship_lag shows, and heals when they have it too.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.keep_s = 100000\nvectorshard.check_rate = 0\nvectorshard.placement_mode = off\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE stop (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('stop', 'car')});
$f->poll($_, q{SELECT count(*) FROM pg_tables WHERE tablename IN ('trip', 'stop')}, '2', "$_ has the tables") for @nodes;
$f->sql($_, "INSERT INTO trip SELECT 'car' || c, ascii('$_'), '$_' FROM generate_series(1, 4) c ON CONFLICT DO NOTHING") for @nodes;
my $quiet = q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag};
sub same {
	my ($what, $table, @on) = @_;
	@on = @nodes unless @on;
	$f->poll($_, $quiet, '0', "$what: $_ owes nothing", 90) for @on;
	my $rows = "SELECT count(*) || md5(string_agg(to_jsonb(t)::text, chr(10) ORDER BY car COLLATE \"C\", id)) FROM ONLY $table t";
	# A node whose shipper has not read its last commits yet owes nothing it knows of: the home may still change.
	for my $node (@on) {
		my ($home, $here) = ('', '');
		ok($f->wait_for(sub { ($home, $here) = map { $f->sql($_, $rows) } 'c1', $node; return $home eq $here }), "$what: $node has the rows of the home")
		  or diag("c1 '$home', $node '$here'");
	}
	return;
}
same('before', 'trip');

# Under writers, on all nodes: a type, a column of it, an index, a rename.
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{
\set car random(1, 4)
\set id random(1, 100000000)
INSERT INTO trip (car, id) VALUES ('car' || :car, :id);
});
my @writers = map { IPC::Run::start([ 'pgbench', '-n', '-c', '1', '-R', '40', '-t', '400', '-f', $script, '-h', $f->node($_)->host, '-p', $f->node($_)->port, 'postgres' ],
	'>', \my $out, '2>', \my $err) } @nodes;
my $before = $f->sql('c1', 'SELECT count(*) FROM ONLY trip');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$CREATE TYPE mood AS ENUM ('sad', 'ok')$$)});
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$ALTER TABLE trip ADD COLUMN mood mood DEFAULT 'ok'; CREATE INDEX trip_mood ON trip (mood)$$)});
$f->poll($_, q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'trip'::regclass AND attname = 'mood'}, '1', "$_ has the column") for @nodes;
$f->sql('e1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip RENAME COLUMN note TO words')});
ok($_->finish, 'the writer ends without an error') for @writers;
same('DDL under writers', 'trip');
is($f->sql('c1', 'SELECT count(*) FROM ONLY trip') - $before > 0 && $f->sql('c1', q{SELECT count(*) FROM ONLY trip WHERE id > 200}), 1200, 'no row is lost');
is($f->sql($_, q{SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'trip_elsewhere'::regclass AND attnum > 0 AND NOT attisdropped}),
	'_version car id mood words', "$_: the foreign child follows") for @nodes;

# A node that is away.
$f->node('e2')->stop('immediate');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN a int'); SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ALTER COLUMN a TYPE bigint');
  INSERT INTO trip (car, id, a) VALUES ('car1', -1, 5000000000)});
$f->start_again('e2');
same('away', 'trip');
is($f->sql('e2', q{SELECT a FROM ONLY trip WHERE id = -1}), '5000000000', 'the row came after the statements');

# On one node only: the table pauses, others flow, and it heals.
$f->sql('c1', q{ALTER TABLE trip ADD COLUMN b int; INSERT INTO trip (car, id, b) VALUES ('car1', -2, 2); INSERT INTO stop VALUES ('car1', 1, 'flows')});
$f->poll($_, q{SELECT count(*) FROM ONLY stop}, '1', "the other table flows to $_") for 'e1', 'e2';
$f->poll('c1', q{SELECT string_agg(node || ' ' || paused::text, ', ' ORDER BY node) FROM vectorshard.ship_lag}, 'e1 {public.trip}, e2 {public.trip}', 'ship_lag names the paused table');
like($f->sql('c1', q{SELECT last_error FROM vectorshard.ship_lag WHERE node = 'e1'}), qr/columns of the table differ: public.trip/, 'and why');
$f->sql($_, 'ALTER TABLE trip ADD COLUMN b int') for 'e1', 'e2';
same('healed', 'trip');
$f->poll('c1', q{SELECT string_agg(paused::text, ' ') FROM vectorshard.ship_lag}, '{} {}', 'nothing is paused');

# A statement that fails on one node.
$f->sql('e1', 'CREATE TABLE extra (x int)');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('CREATE TABLE extra (a int, b int)'); SELECT vectorshard.run_on_all_nodes('CREATE TABLE more (a int)')});
$f->poll($_, q{SELECT to_regclass('more') IS NOT NULL}, 't', "$_ runs the one after it") for @nodes;
$f->poll('e1', q{SELECT reason FROM vectorshard.conflicts WHERE kind = 'ddl' AND resolved IS NULL}, 'relation "extra" already exists', 'the failure is visible');
$f->sql('e1', 'DROP TABLE extra');
$f->poll('e1', q{SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('extra') AND attnum > 0}, '2', 'it is tried again');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'ddl' AND resolved IS NULL}), '0', 'and settled');

# Refusals.
like($f->error_of('c1', "SELECT vectorshard.run_on_all_nodes('$_')"), qr/0A000: this cannot be run on all nodes/, "refused: $_")
  for 'DELETE FROM trip', 'COMMIT', 'CREATE TABLE x AS SELECT 1', 'VACUUM trip', '', 'SELECT 1';
like($f->error_of('c1', "SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN v $_')"), qr/0A000: this cannot be run.*DETAIL:.*column v of public.trip.*HINT:/s, "refused: $_")
  for 'timestamptz DEFAULT now()', 'float8 DEFAULT random()', 'bigserial';
like($f->error_of('c1', "SELECT vectorshard.run_on_all_nodes('$_')"), qr/0A000: this cannot be run.*DETAIL:.*column a of public.trip: bigint.*HINT:/s, "refused: $_")
  for 'ALTER TABLE trip DROP COLUMN a, ADD COLUMN a bigint',
  'ALTER TABLE trip ADD COLUMN c bigint; ALTER TABLE trip RENAME a TO d; ALTER TABLE trip RENAME c TO a';
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN v timestamptz'), vectorshard.run_on_all_nodes('ALTER TABLE trip ALTER COLUMN v SET DEFAULT now()');
  UPDATE trip SET v = now()});
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$ALTER TABLE trip ADD COLUMN day date DEFAULT '2026-01-01'; ALTER TYPE mood RENAME TO temper$$)});
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$ALTER TYPE temper ADD VALUE 'glad'$$)});
$f->sql('c1', q{INSERT INTO trip (car, id, mood) VALUES ('car2', -3, 'glad')});
same('types', 'trip');

# A row that needs a statement which the node has not run yet waits for it, and does not become a dead letter, which could
# not be merged any more after the next statement.
my $holder = $f->node('e1')->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE vectorshard.ddl_done IN SHARE MODE');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes($$ALTER TYPE temper ADD VALUE 'mad'$$)});
$f->sql('c1', q{INSERT INTO trip (car, id, mood) VALUES ('car2', -4, 'mad')});
$f->poll('c1', q{SELECT paused::text FROM vectorshard.ship_lag WHERE node = 'e1'}, '{public.trip}', 'the table waits for the statement');
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN w int')});
$holder->query_safe('COMMIT');
$holder->quit;
same('a value that is new', 'trip');
is($f->sql($_, q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'dead_letter' AND resolved IS NULL}), '0', "$_ has no dead letters") for @nodes;
like($f->error_of('c1', q{SELECT vectorshard.run_on_all_nodes('DROP TABLE trip')}), qr/cannot drop enrolled table/, 'an enrolled table is not dropped');
$f->sql('c1', 'CREATE ROLE clerk; GRANT EXECUTE ON FUNCTION vectorshard.run_on_all_nodes(text) TO clerk');
like($f->error_of('c1', q{SET ROLE clerk; SELECT vectorshard.run_on_all_nodes('CREATE TABLE y (a int)')}), qr/42501/, 'not for everybody');

# A table that is being enrolled meanwhile: the statement waits, and then every node runs it on the table.
$f->sql('c1', 'CREATE TABLE late (car text, id int, PRIMARY KEY (car, id))');
my $enrolling = $f->node('c1')->background_psql('postgres');
$enrolling->query_safe(q{BEGIN; SELECT vectorshard.create_vector_shard_table('late', 'car')});
my $altering = $f->node('c1')->background_psql('postgres');
$altering->query_until(qr/begun/, "\\echo begun\nSELECT vectorshard.run_on_all_nodes('ALTER TABLE late ADD COLUMN w int');\n");
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT vectorshard.run_on_all_nodes' AND wait_event_type = 'Lock'}, '1', 'an ALTER TABLE waits for an enrolment');
$enrolling->query_safe('COMMIT');
$_->quit for $enrolling, $altering;
$f->sql('c1', q{INSERT INTO late VALUES ('car2', 1, 7)});
$f->poll($_, q{SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('late') AND attname = 'w'}, '1', "$_ has the column") for @nodes;
same('a table that was altered just after', 'late');

# A node that joins now has it all.
$f->add_server('e3');
$f->join('e3');
$f->poll('e3', q{SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('trip') AND attnum > 0 AND NOT attisdropped}, '10', 'a new node has the columns');
$f->poll('e3', q{SELECT to_regclass('more') IS NOT NULL AND to_regtype('temper') IS NOT NULL}, 't', 'and the other objects');
is($f->sql('e3', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind IN ('ddl', 'definition') AND resolved IS NULL}), '0', 'nothing is left to do');

done_testing();
