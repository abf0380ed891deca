# Topology: cores c1 (home of a and b), c2 (home of c); edges e1 (asks), e2 (holds a).
# Proves: a client that is not here is read at its home, and at a holder when the home does not answer, without and after a
# time-out, in a transaction as well as by itself, in lists and joins; never at a node that let it go; a session sees its own
# changes; what nobody can give is an error, or a warning that names the node and counts the clients; a client that nobody
# here has heard of is looked up at the core node that answers; route() puts nodes that answer first; repeated reads of a
# client that never reports bring it here.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.placement_mode = off\n");
$f->add_server('c2');
$f->join('c2', kind => 'core');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
                INSERT INTO trip SELECT c, i, c || i FROM unnest(ARRAY['a', 'b']) c, generate_series(1, 3) i});
$f->poll('c2', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'c2 has the table');
$f->sql('c2', q{INSERT INTO trip SELECT 'c', i, 'c' || i FROM generate_series(1, 3) i});
ok($f->bring('e2', 'a'), 'a comes to e2');
$f->poll('e1', q{SELECT string_agg(client || ' ' || n.name, ', ' ORDER BY client, n.name) FROM vectorshard.holder h JOIN vectorshard.node n USING (node) WHERE h.state = 'live'},
	'a c1, a e2, b c1, c c2', 'e1 knows who holds what');

$f->poll('e1', 'SELECT count(*) FROM vectorshard.ship_lag WHERE NOT connected', '0', 'and reaches all of them');

my $asked = sub {
	my ($sql) = @_;
	my $plan = $f->sql('e1', "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) $sql");
	return join ', ', $plan =~ /Nodes Asked: (.*)/g;
};
is($asked->(q{SELECT * FROM trip WHERE car = 'a'}), 'c1 (rows=3)', 'the home is as near as the holder: it is asked');
is($asked->(q{SELECT * FROM trip WHERE car IN ('a', 'b', 'c')}), 'c1 (rows=6), c2 (rows=3)', 'clients of two homes');
is($asked->(q{SELECT * FROM trip}), 'c1 (rows=6), c2 (rows=3)', 'all clients');
like($f->sql('e1', q{EXPLAIN (ANALYZE) SELECT * FROM trip WHERE car = 'a'}), qr/Nodes Asked: c1 \(rows=3 time=[0-9.]+\)/, 'with its time');

my $routes = q{SELECT string_agg(node || ': ' || reason, ', ') FROM vectorshard.route('a')};
is($f->sql('e1', $routes), 'c1: holds a copy, is its home, e2: holds a copy', 'route');
is($f->sql('e1', q{SELECT string_agg(node || ' ' || reason, ', ') FROM vectorshard.route(} . $f->place(2) . ')'),
	'e2 serves the place, e1 is near, c2 is near, c1 is near', 'route of a place');
is($f->sql('e1', q{SELECT host || ' ' || port || ' ' || dbname FROM vectorshard.route('a') LIMIT 1}), '127.0.0.1 ' . $f->node('c1')->port . ' postgres', 'where that is');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.route('nobody')}), '0', 'a client that nobody knows');
like($f->error_of('e1', q{SET ROLE pg_monitor; SELECT * FROM vectorshard.route('a')}), qr/42501/, 'not for everybody');

# A home that takes no connections, and is not known for it yet.
my $postmaster = $f->node('c1')->{_pid};
kill 'STOP', $postmaster;
is($asked->(q{SELECT * FROM trip WHERE car = 'a'}), 'c1 (rows=0), e2 (rows=3)', 'after the time-out a holder is asked');
kill 'CONT', $postmaster;

# A session changes a client at its home and then loses that: what is older is not given for its own.
my $own = Session->new($f->node('e1'));
is($own->ask(q{UPDATE trip SET note = 'own' WHERE car = 'a' AND id = 1 RETURNING note}), 'own', 'a change at the home');
$f->poll('e2', q{SELECT note FROM ONLY trip WHERE car = 'a' AND id = 1}, 'own', 'which the holder has');

# An answer that was begun is not carried on by another.
my $reading = Session->new($f->node('e1'));
$reading->ask('BEGIN');
is($reading->ask(q{SELECT count(*) FROM trip WHERE car = 'a'}), '3', 'a transaction that has asked the home');

$f->node('c1')->stop('immediate');
is($f->sql('e1', q{SELECT string_agg(note, ' ' ORDER BY id) FROM trip WHERE car = 'a'}), 'own a2 a3', 'home dead: a holder answers');
is($reading->ask(q{SELECT count(*) FROM trip WHERE car = 'a'}), '3', 'in the transaction as well');
is($reading->ask(q{SELECT count(*) FROM trip WHERE car = 'c'}), '3', 'which goes on');
$reading->ask('COMMIT');
is($f->sql('e1', q{SELECT count(*) FROM trip t JOIN (VALUES ('a'), ('c')) v(x) ON t.car = v.x}), '6', 'in a join');
is($f->sql('e1', q{PREPARE p(text) AS SELECT count(*) FROM trip WHERE car = $1; SET plan_cache_mode = force_generic_plan; EXECUTE p('a')}), '3', 'by a generic plan');
is($own->ask(q{SELECT note FROM trip WHERE car = 'a' AND id = 1}), 'own', 'the session that changed it');
like($f->error_of('e1', q{SELECT * FROM trip WHERE car = 'b'}), qr/08001.*node "c1" cannot be reached/s, 'nobody else has b: an error');
like($f->error_of('e1', q{SELECT * FROM trip WHERE car = 'a' FOR UPDATE}), qr/08001.*node "c1" cannot be reached/s, 'a copy is never locked');
like($f->error_of('e1', q{UPDATE trip SET note = 'x' WHERE car = 'a'}), qr/08001.*node "c1" cannot be reached/s, 'nor changed');
my $warned = sub { my ($sql) = @_; my ($rc, $out, $err) = $f->node('e1')->psql('postgres', "SET vectorshard.on_unreachable = warn; $sql"); return "$out $err"; };
like($warned->(q{SELECT count(*) FROM trip WHERE car IN ('a', 'b', 'c')}), qr/^6 .*WARNING:  node "c1" cannot be reached.*\n.*DETAIL:  1 client is not covered\./, 'warn: what is left out');
like($warned->(q{SELECT count(*) FROM trip}), qr/^3 .*DETAIL:  2 clients are not covered\./s, 'of all clients');

# A holder row that is not true any more, as while its end is under way.
$f->sql('e1', q{SET session_replication_role = replica; INSERT INTO vectorshard.holder (client, node, generation, state, _version)
  SELECT 'b', node, 1, 'live', 1 FROM vectorshard.node WHERE name = 'c2'});
like($f->error_of('e1', q{SELECT * FROM trip WHERE car = 'b'}), qr/08001.*node "c1" cannot be reached/s, 'who let it go does not answer with nothing');
is($f->sql('e1', q{SET vectorshard.on_unreachable = warn; SET client_min_messages = error; SELECT count(*) FROM trip WHERE car IN ('a', 'b')}), '3', 'nor for others in the list');

# Clients that e1 has not heard of are looked up at the core node that answers.
$f->sql('e1', q{SET session_replication_role = replica; DELETE FROM vectorshard.client WHERE client = 'c'});
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car = 'c'}), '3', 'looked up at the core node that answers');

# Once it is known that the home is dead, nobody waits for it.
$f->poll('e1', q{SELECT reason FROM vectorshard.route('a') LIMIT 1}, 'holds a copy', 'route puts it last');
is($f->sql('e1', $routes), 'e2: holds a copy, c1: holds a copy, is its home, does not answer', 'and says why');
is($asked->(q{SELECT * FROM trip WHERE car = 'a'}), 'e2 (rows=3)', 'the dead home is not asked');
$f->start_again('c1');
$f->poll('e1', q{SELECT node FROM vectorshard.route('a') LIMIT 1}, 'c1', 'the home is back');
is($asked->(q{SELECT * FROM trip WHERE car IN ('a', 'b')}), 'c1 (rows=6)', 'and is asked again');

# Follow the workload.
$f->sql('e1', $_) for 'ALTER SYSTEM SET vectorshard.placement_mode = on', 'SELECT pg_reload_conf()';
$f->poll('e1', q{SELECT count(*) FROM trip WHERE car = 'b'; SELECT count(*) FROM ONLY trip WHERE car = 'b'}, "3\n3", 'a client that is read here comes here');

done_testing();
