# Topology: core c1 (home), edges e1 and e2; clients resident on all three, a reference table. check_rate = 0 at first.
# Proves: check_client() and check_fabric() find a planted difference (content changed at the same version, a row removed,
# a row added) and mend it; under writers on three nodes they never call a difference what is under way; a peer that is
# down is unreachable, not different; the background check finds and mends by itself.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.keep_s = 100000\nvectorshard.check_rate = 0\nvectorshard.placement_mode = off\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{CREATE TYPE mood AS ENUM ('sad', 'ok')});
$f->sql('e1', q{CREATE TYPE first AS (a int); CREATE TYPE mood AS ENUM ('sad', 'ok')});    # another oid than on c1
$f->sql('e2', q{CREATE TYPE mood AS ENUM ('sad', 'ok')});
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, moods mood[], PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text);
  SELECT vectorshard.create_reference_table('kind')});
$f->poll($_, q{SELECT to_regclass('kind') IS NOT NULL AND to_regclass('trip') IS NOT NULL}, 't', "$_ has the tables") for @nodes;
$f->sql($_, "INSERT INTO trip SELECT 'car' || c, ascii('$_') + id, '$_', '{sad,ok}' FROM generate_series(1, 4) c, generate_series(1, 20) id ON CONFLICT DO NOTHING")
  for @nodes;
$f->sql('e1', q{INSERT INTO kind SELECT i, 'kind ' || i FROM generate_series(1, 100) i});
my $quiet = q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag};
sub all_delivered { $f->poll($_, $quiet, '0', "$_[0]: $_ owes nothing") for @nodes; return; }
all_delivered('before');

my $states = q{SELECT string_agg(DISTINCT node || ' ' || coalesce(client, table_name, '-') || ' ' || state, ', ' ORDER BY node || ' ' || coalesce(client, table_name, '-') || ' ' || state) FROM vectorshard.check_fabric(%s)};
my $check = sprintf($states, '');
my $equal = 'e1 - equal, e2 - equal';
$f->poll('c1', $check, $equal, 'all is equal');
is($f->sql('e1', q{SELECT string_agg(node || ' ' || state || ' ' || rows, ', ' ORDER BY node) FROM vectorshard.check_client('car1')}),
	'e1 equal 22, e2 equal 22', 'check_client() asks the home, wherever it is called');

# Plants what the publication must not see.
sub plant {
	my ($n, $table, $sql) = @_;
	$f->sql($n, "ALTER PUBLICATION vectorshard DROP TABLE ONLY $table; SET session_replication_role = replica; $sql; ALTER PUBLICATION vectorshard ADD TABLE ONLY $table");
	return;
}
sub plant_all {
	plant('e1', 'trip', q{UPDATE ONLY trip SET note = 'planted' WHERE car = 'car1' AND id = (SELECT min(id) FROM ONLY trip WHERE car = 'car1');
	  DELETE FROM ONLY trip WHERE car = 'car2' AND id = (SELECT min(id) FROM ONLY trip WHERE car = 'car2');
	  DELETE FROM ONLY trip WHERE car = 'car3' AND id = 1;
	  INSERT INTO trip VALUES ('car3', 1, 'added', '{}', vectorshard.next_version())});
	plant('e2', 'kind', q{UPDATE kind SET words = 'planted' WHERE id = 7; DELETE FROM kind WHERE id = 8});
	return;
}
my $found = 'e1 - equal, e1 car1 differs, e1 car2 differs, e1 car3 differs, e2 - equal, e2 public.kind differs';
plant_all();
is($f->sql('c1', $check), $found, 'what was planted is found');
is($f->sql('c1', q{SELECT state || ' ' || differing || ' ' || sample::text FROM vectorshard.check_client('car2') WHERE node = 'e1'}),
	'differs 1 {"public.trip (car2, 100)"}', 'the row is named');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'diverged' AND resolved IS NULL}), '4', 'and recorded');
$f->sql('c1', 'SELECT * FROM vectorshard.check_fabric(repair => true)');
$f->poll('c1', $check, $equal, 'mended');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'diverged' AND resolved IS NULL}), '0', 'the records are settled');
is($f->sql($_, q{SELECT string_agg(note, ' ' ORDER BY car, id) FROM ONLY trip WHERE (car, id) IN (('car1', ascii('c') + 1), ('car3', 1))}), 'c1 added',
	"$_: the home's content stays, the row that was added is everywhere") for @nodes;
is($f->sql($_, q{SELECT words FROM kind WHERE id = 7}), 'kind 7', "$_: of the reference table that of the smaller node") for @nodes;

# Under writers.
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{
\set car random(1, 4)
\set id random(1, 200)
INSERT INTO trip VALUES ('car' || :car, :id, md5(random()::text), '{ok}') ON CONFLICT (car, id) DO UPDATE SET note = excluded.note;
DELETE FROM trip WHERE car = 'car' || :car AND id = :id + 1;
UPDATE kind SET words = md5(random()::text) WHERE id = :id / 2;
});
my @writers = map { IPC::Run::start([ 'pgbench', '-n', '-c', '1', '-R', '60', '-T', '25', '-f', $script, '-h', $f->node($_)->host, '-p', $f->node($_)->port, 'postgres' ],
	'>', \my $out, '2>', \my $err) } @nodes;
my ($checks, %seen) = (0);
while (grep { $_->pumpable } @writers) {
	$seen{$_}++ for split /\n/, $f->sql('c1', 'SELECT state FROM vectorshard.check_fabric()');
	$checks++;
	eval { $_->pump_nb } for grep { $_->pumpable } @writers;    # one may end between the two
	last if $checks >= 200;
}
$_->finish for @writers;
cmp_ok($checks, '>=', 3, "$checks checks while three nodes wrote");
is($seen{differs} // 0, 0, 'none called a difference what was under way (' . join(', ', map { "$_ $seen{$_}" } sort keys %seen) . ')');
$f->poll('c1', $check, $equal, 'and all is equal afterwards', 90);

# A dead peer.
$f->node('e2')->stop('immediate');
like($f->sql('c1', q{SELECT string_agg(node || ' ' || state, ', ' ORDER BY node) FROM vectorshard.check_client('car1')}), qr/^e1 \w+, e2 unreachable$/, 'a dead peer is unreachable');
$f->poll('c1', q{SELECT count(*) FILTER (WHERE node = 'e2' AND state = 'unreachable') > 0 AND count(*) FILTER (WHERE state = 'differs') = 0 FROM vectorshard.check_fabric()},
	't', 'not different');
$f->start_again('e2');
$f->poll('c1', q{SELECT bool_and(connected) FROM vectorshard.ship_lag}, 't', 'it is back');

# Refusals.
like($f->error_of('c1', q{BEGIN; INSERT INTO kind VALUES (1000, 'x'); SELECT * FROM vectorshard.check_client('car1')}), qr/ERROR:  25001: a check needs a transaction of its own/,
	'not after writing');
like($f->error_of('c1', q{SELECT * FROM vectorshard.check_client('nobody')}), qr/client "nobody" is not known/, 'an unknown client');

# In the background. Planted after the restart: a shipper that starts sends again what it sent last, and would mend it.
$f->node('c1')->append_conf('postgresql.conf', 'vectorshard.check_rate = 6000');
$f->node('c1')->restart;
$f->poll('c1', q{SELECT bool_and(connected) FROM vectorshard.ship_lag}, 't', 'the home ships again');
all_delivered('after the restart');
plant_all();
$f->poll('c1', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'diverged' AND at > pg_postmaster_start_time()}, '4',
	'the background check finds all four', 120);
$f->poll('c1', $check, $equal, 'and mends them', 120);

done_testing();
