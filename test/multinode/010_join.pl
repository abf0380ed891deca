# Topology: core c1, edges e1 and e2, a spare server s1; scram passwords between all.
# Proves: one call joins; tables enrolled before and after it are made everywhere; reference rows arrive; wrong password,
# duplicate name and unreachable core give errors that say what to do, and change nothing; the number is bound to the node.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', 's1' ], auth => 'scram', connect => 0);
$f->create('c1');

$f->sql('c1', q{
  CREATE TABLE place (id int PRIMARY KEY, name text, at geometry(Point, 4326));
  INSERT INTO place SELECT i, E'tab\t back\\\\ ' || i, ST_SetSRID(ST_MakePoint(i * 0.01, 1), 4326) FROM generate_series(1, 500) i;
  SELECT vectorshard.create_reference_table('place');
  CREATE TABLE trip (car text, id int, note text DEFAULT 'new', twice int GENERATED ALWAYS AS (id * 2) STORED,
                     CHECK (id > 0), PRIMARY KEY (car, id));
  CREATE INDEX trip_note ON trip (note);
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
});

# A wrong password.
$f->prepare_join('e1', 'c1', 'wrong');
my $error = $f->error_of('e1', "SELECT vectorshard.join_fabric('e1', 'hub', " . $f->place(1) . ')');
like($error, qr/ERROR:\s+28000: node refused the connection/, 'wrong password: SQLSTATE and message');
like($error, qr/DETAIL:.*password authentication failed for user "fabric"/, 'wrong password: detail');
like($error, qr/HINT:.*user mapping/, 'wrong password: hint');
unlike($error, qr/wrong/, 'wrong password: not shown');
is($f->sql('e1', 'SELECT vectorshard.self_node(), (SELECT count(*) FROM vectorshard.node)'), '0|0', 'wrong password: nothing changed');
$f->sql('e1', q{ALTER USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (SET password 'right')});

# A duplicate name, a bad place, a bad kind, a server that is not there.
my $at = $f->place(1);
like($f->error_of('e1', "SELECT vectorshard.join_fabric('c1', 'hub', $at)"), qr/ERROR:\s+42710: a node named 'c1'.*HINT:/s, 'duplicate name');
like($f->error_of('e1', q{SELECT vectorshard.join_fabric('e1', 'hub', ST_SetSRID(ST_MakePoint(1, 95), 4326))}),
	qr/ERROR:\s+22023: .*DETAIL:\s+Longitude 1, latitude 95.*HINT:/s, 'place not on Earth');
like($f->error_of('e1', "SELECT vectorshard.join_fabric('e1', 'hub', $at, kind => 'moon')"), qr/22023: .*core or edge.*HINT:/s, 'bad kind');
like($f->error_of('e1', "SELECT vectorshard.join_fabric('e1', 'nowhere', $at)"), qr/42704: server "nowhere" does not exist.*HINT:/s, 'no such server');
like($f->error_of('e1', q{SELECT vectorshard.create_vector_shard_table('pg_class', 'relname')}), qr/55000: this database is not a member.*HINT:/s,
	'not a member');

# Joining, and joining through a node that is not the registrar.
is($f->sql('e1', "SELECT vectorshard.join_fabric('e1', 'hub', $at)"), '2', 'e1 joins');
is($f->sql('e1', 'SELECT count(*) FROM place'), '500', 'reference rows are there when join returns');
is($f->client_hash('e1', 'place', 1, 'id'), $f->client_hash('c1', 'place', 1, 'id'), 'a reference row is the same');
is($f->sql('e1', q{SELECT count(*) FROM pg_indexes WHERE tablename = 'trip'}), '2', 'the indexes of the vector-shard table');
like($f->error_of('e1', "SELECT vectorshard.join_fabric('e1', 'hub', $at)"), qr/55000: this database is already a member/, 'joining twice');
is($f->join('e2', via => 'e1'), '3', 'e2 joins through e1, and the registrar gives the number');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.nodes WHERE state = 'active'}, '3', 'the registrar knows all nodes');
$f->poll('e1', 'SELECT string_agg(name, \' \' ORDER BY node) FROM vectorshard.nodes', 'c1 e1 e2', 'e1 hears of e2');

# What is enrolled after the join.
$f->sql('c1', q{CREATE TABLE kind (id text PRIMARY KEY, words text); INSERT INTO kind VALUES ('a', 'before');
                SELECT vectorshard.create_reference_table('kind'); INSERT INTO kind VALUES ('b', 'after')});
for my $n ('e1', 'e2') {
	$f->poll($n, q{SELECT to_regclass('kind') IS NOT NULL}, 't', "$n makes a table enrolled after it joined");
	$f->poll($n, q{SELECT string_agg(id || words, ' ' ORDER BY id) FROM kind}, 'abefore bafter', "$n gets its rows, old and new");
}
$f->sql('e2', q{INSERT INTO kind VALUES ('c', 'from e2')});
$f->poll('e1', q{SELECT words FROM kind WHERE id = 'c'}, 'from e2', 'a reference row travels between edges');

# A restart keeps the identity; the number is not given twice.
$f->kill9_and_restart('e1');
$f->poll('e1', 'SELECT vectorshard.self_node()', '2', 'identity after kill -9');
$f->poll('e1', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'}, 't', 'workers start again');
like($f->error_of('e1', q{SELECT vectorshard.remove_node('e2')}), qr/55000: only the registrar removes nodes.*HINT/s, 'remove_node elsewhere');
like($f->error_of('c1', q{SELECT vectorshard.remove_node('c1')}), qr/55000: the registrar cannot be removed.*HINT/s, 'removing the registrar');
$f->sql('c1', q{SELECT vectorshard.remove_node('e2')});
$f->poll('e1', q{SELECT state FROM vectorshard.node WHERE name = 'e2'}, 'removed', 'e1 hears of the removal');
is($f->join('s1'), '4', 'the number of a removed node is not used again');

done_testing();
