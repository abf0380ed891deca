# Trouble that an administrator meets: each kind gives an error with a fitting SQLSTATE and a hint, loses nothing, and
# heals when its cause is gone. On one node: sql/80_trouble.sql.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], auth => 'scram', config => 'vectorshard.insert_wait_ms = 3000');
$f->sql('c1', q{
  CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, name text);
  SELECT vectorshard.create_reference_table('kind');
  INSERT INTO trip SELECT 'car' || c, i, 'first' FROM generate_series(1, 5) c, generate_series(1, 3) i;
  INSERT INTO kind VALUES (1, 'van');
});
for my $n ('e1', 'e2') { $f->poll($n, q{SELECT count(*) FROM pg_class WHERE relname IN ('trip', 'trip_elsewhere', 'kind')}, 3, "$n has the tables"); }
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 10, 'e1')});

sub refused {
	my ($node, $sql, $state, $like, $what) = @_;
	my $error = $f->error_of($node, $sql);
	like($error, qr/ERROR:  $state: .*$like/s, $what);
	like($error, qr/HINT: /, "$what: with a hint");
	return;
}
my $arrived = q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag};
my $here = q{SET vectorshard.read_scope = local; };

# A server that is not ready to be a node.
my $p = PostgreSQL::Test::Cluster->new('late');
$p->init;
$p->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\nwal_level = replica\nmax_worker_processes = 32\n");
$p->start;
$f->{nodes}{late} = $p;
my $place = $f->place(5);
$f->sql('late', 'CREATE EXTENSION vectorshard CASCADE');
for my $call ("create_fabric('late', $place)", "join_fabric('late', 'hub', $place)", "report('car1', $place)", "create_reference_table('pg_class')") {
	refused('late', "SELECT vectorshard.$call", 55000, 'not preloaded', "$call without preloading");
}
is($f->sql('late', 'CREATE TABLE plain (id int PRIMARY KEY); ALTER TABLE plain RENAME id TO other; INSERT INTO plain VALUES (1); SELECT count(*) FROM plain'),
	1, 'a server that did not preload works as before');
$p->append_conf('postgresql.conf', "shared_preload_libraries = 'vectorshard'\n");
$p->restart;
refused('late', "SELECT vectorshard.create_fabric('late', $place)", 55000, 'wal_level', 'wal_level is not logical');
refused('late', "SELECT vectorshard.create_reference_table('plain')", 55000, 'not a member of a fabric', 'enrolling in no fabric');
$p->append_conf('postgresql.conf', "wal_level = logical\n");
$p->restart;

# A table was altered since it was enrolled, on one node, then on the others.
$f->sql('c1', q{ALTER TABLE trip ADD COLUMN more text; UPDATE trip SET more = 'new' WHERE id = 10});
$f->poll('c1', q{SELECT last_error LIKE '%columns%differ%: public.trip' FROM vectorshard.ship_lag WHERE node = 'e1'}, 't', 'the table pauses for the peer');
refused('e2', q{INSERT INTO trip VALUES ('car2', 20, 'e2')}, 55000, 'columns differ', 'no copy between tables that differ');
$f->sql('e1', q{UPDATE trip SET note = 'old columns' WHERE car = 'car1' AND id = 1});
$f->sql($_, 'ALTER TABLE trip ADD COLUMN more text') for ('e1', 'e2');
for my $n ('c1', 'e1') { $f->poll($n, $arrived, 0, "$n has shipped everything"); }
is($f->client_hash('c1', 'trip', 'car1', 'car'), $f->client_hash('e1', 'trip', 'car1', 'car'), 'nothing is lost between the two ALTERs');
is($f->sql('e1', q{SELECT more FROM ONLY trip WHERE id = 10}), 'new', 'the new column came along');

# Joining where a table of an enrolled name is: dropping that one must not take the table from everybody.
$f->sql('late', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); INSERT INTO trip VALUES ('mine', 1)});
$f->prepare_join('late', 'c1', 'wrong');
$f->sql('late', q{CREATE ROLE fabric LOGIN PASSWORD 'right'; GRANT vectorshard_peer TO fabric});
refused('late', "SELECT vectorshard.join_fabric('late', NULL, $place)", 22004, 'server', 'joining through null');
refused('late', "SELECT vectorshard.join_fabric('late', 'hub', $place)", 28000, 'password', 'joining with a wrong password');
$f->sql('late', q{ALTER USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (SET password 'right')});
refused('late', "SELECT vectorshard.join_fabric('e1', 'hub', $place)", 42710, 'e1', 'joining under a name that is taken');
$f->sql('late', "SELECT vectorshard.join_fabric('late', 'hub', $place)");
is($f->sql('late', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'definition' AND resolved IS NULL}), 1, 'the table in the way is told');
$f->sql('late', 'DROP TABLE trip');
$f->poll('late', q{SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('trip_elsewhere') AND attname = 'more'}, 1, 'it makes room for the enrolled one, as it is now');
is($f->sql('late', q{SELECT count(*) FROM trip}), 16, 'which is read there');
is($f->sql('c1', q{SELECT string_agg(DISTINCT state, ',') FROM vectorshard.shard_table}), 'enrolled', 'nobody lost the table');

# DROP TABLE and DROP EXTENSION on one node.
refused('e1', 'DROP TABLE trip', '2BP01', 'also on nodes', 'dropping an enrolled table on one node');
refused('e1', 'ALTER TABLE trip RENAME COLUMN car TO vehicle', '0A000', 'car', 'renaming the client column');
$f->sql('late', q{INSERT INTO trip VALUES ('car4', 40, 'late')});
$f->poll('c1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car4' AND id = 40}, 1, 'shipped before the extension goes');
# It locks much, so it may meet a worker in a deadlock, and is repeated then.
sub done { my ($sql) = @_; return ($f->node('late')->psql('postgres', $sql, on_error_stop => 1))[0] == 0; }
ok($f->wait_for(sub { done('BEGIN; SAVEPOINT a; DROP EXTENSION vectorshard CASCADE; ROLLBACK TO a; COMMIT') }), 'DROP EXTENSION, taken back');
is($f->sql('late', q{SELECT vectorshard.self_node() || ' ' || count(*) FROM pg_replication_slots}), '4 1', 'leaves the node as it was');
ok($f->wait_for(sub { done('DROP EXTENSION vectorshard CASCADE') }), 'DROP EXTENSION');
$f->poll('late', q{SELECT count(*) FROM pg_replication_slots}, 0, 'the slot goes with the extension');
$f->poll('late', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'vectorshard%' AND backend_type NOT LIKE '%launcher'}, 0, 'and the workers');
is($f->sql('late', q{SELECT count(*) FROM trip WHERE car = 'car4'}), 4, 'rows stay');
$p->restart;
$f->sql('late', 'CREATE EXTENSION vectorshard');
is($f->sql('late', 'SELECT vectorshard.self_node()'), 0, 'a new extension is no node');
$f->sql('c1', q{SELECT vectorshard.remove_node('late', force => true)});
$f->sql('late', 'DROP TABLE trip, kind');
$f->prepare_join('late', 'c1');
is($f->sql('late', "SELECT vectorshard.join_fabric('late', 'hub', $place)"), 5, 'it joins anew, under a new number');
is($f->sql('late', q{SELECT count(*) FROM trip}), 17, 'and reads what it had written');

# The password is changed on one side.
$f->sql('e1', q{ALTER USER MAPPING FOR CURRENT_USER SERVER fabric OPTIONS (SET password 'wrong')});
$f->node('e1')->restart;
$f->poll('e1', q{SELECT last_error LIKE '%password authentication failed%' FROM vectorshard.ship_lag WHERE node = 'c1'}, 't', 'ship_lag tells the wrong password');
refused('e1', q{SELECT * FROM trip WHERE car = 'car3'}, 28000, 'password', 'and so does a read');
refused('e1', q{SET vectorshard.on_unreachable = warn; SELECT * FROM trip}, 28000, 'password', 'even when rows may be left out');
$f->sql('e1', q{UPDATE trip SET note = 'kept' WHERE car = 'car1' AND id = 10});
$f->sql('e1', q{ALTER USER MAPPING FOR CURRENT_USER SERVER fabric OPTIONS (SET password 'right')});
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE car = 'car1' AND id = 10}, 'kept', 'heals when it is corrected');
is($f->sql('e1', q{SELECT count(*) FROM trip WHERE car = 'car3'}), 3, 'reads too');

# An application's role.
$f->sql($_, q{CREATE ROLE app LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON trip, kind TO app}) for ('c1', 'e1');
is($f->sql('e1', q{SET ROLE app; INSERT INTO trip VALUES ('car3', 30, 'app'); UPDATE trip SET note = 'app' WHERE car = 'car2' AND id = 1;
    SELECT count(*) FROM trip WHERE note = 'app'}), 2, 'an application reads and writes, here and elsewhere');
is($f->sql('e1', "SET ROLE app; SELECT vectorshard.report('car3', $place)"), 't', 'and reports');
for my $sql ('SELECT * FROM vectorshard.client', 'SELECT * FROM vectorshard.nodes', 'SELECT * FROM trip_elsewhere', q{SELECT vectorshard.apply('\x00')},
	q{SELECT vectorshard.evict('car1')}, q{SELECT vectorshard.place('car1', 'e1')}, q{SELECT vectorshard.bring_back('car1')}, q{SELECT vectorshard.undistribute_table('kind')}) {
	like($f->error_of('e1', "SET ROLE app; $sql"), qr/ERROR:  42501/, "an application may not: $sql");
}
is($f->sql('e1', q{GRANT pg_monitor TO app; SET ROLE app; SELECT count(*) > 0 FROM vectorshard.nodes, vectorshard.ship_lag}), 't', 'a monitor sees the views');

# Stores that cannot be written.
my $dir = PostgreSQL::Test::Utils::tempdir;
mkdir "$dir/closed"; mkdir "$dir/cold"; append_to_file("$dir/file", ''); chmod 0555, "$dir/closed";
refused('c1', "SELECT vectorshard.create_store('s', 'file://$dir/$_')", 58030, 'cannot be written', "a store in $_") for ('none', 'closed', 'file');
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$dir/cold')");
refused('c1', "SELECT vectorshard.create_store('cold', 'file://$dir/other')", 42710, 'another URL', 'a store name that is taken');
$f->sql('c1', q{SELECT vectorshard.move_to_cold('car4')});
$f->poll('c1', q{SELECT state FROM vectorshard.tier_moves ORDER BY move DESC LIMIT 1}, 'done', 'a client is in the store');
refused('c1', q{SELECT vectorshard.drop_store('cold')}, 55006, 'in use', 'dropping a store in use');
chmod 0, "$dir/cold";
refused('c1', q{SELECT * FROM trip WHERE car = 'car4'}, 58030, 'cannot be read', 'a store that cannot be read');
refused('c1', q{SELECT vectorshard.move_to_hot('car4')}, 58030, 'cannot be read', 'nothing comes back half');
chmod 0755, "$dir/cold";
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE car = 'car4'}), 4, 'all is there when it is open again');

# The home is down.
$f->poll('e1', q{SELECT state FROM vectorshard.holder WHERE client = 'car3' AND node = vectorshard.self_node()}, 'live', 'car3 is on e1');
$f->node('c1')->stop('immediate');
refused('e1', q{SELECT * FROM trip WHERE car = 'car5'}, '08001', 'node "c1" cannot be reached', 'a read of a client whose home is down');
refused('e1', q{SELECT count(*) FROM trip}, '08001', 'node "c1" cannot be reached', 'a read of all');
refused('e1', q{SET vectorshard.on_unreachable = warn; UPDATE trip SET note = 'x' WHERE car = 'car5'}, '08001', 'c1', 'a write leaves no rows out');
refused('e1', q{SET vectorshard.on_unreachable = warn; SELECT FROM trip WHERE car = 'car5' FOR UPDATE}, '08001', 'c1', 'nor does a lock');
refused('e1', q{INSERT INTO trip VALUES ('unheard', 1)}, '08006', 'no core node answers', 'a new client');
refused('e1', q{INSERT INTO trip VALUES ('car5', 50)}, '08006', 'client "car5" cannot be brought here', 'a client that must be copied');
refused('e1', q{SELECT vectorshard.evict('car1')}, '08006', 'nothing is evicted', 'evicting');
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 60, 'home away'); INSERT INTO kind VALUES (2, 'bus')});
$f->start_again('c1');
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE car = 'car1' AND id = 60}, 'home away', 'what was written meanwhile arrives');

# A dump of a node is no node.
my $dump = "$dir/dump.sql";
$f->node('c1')->command_ok([ 'pg_dump', '-f', $dump, '-d', $f->node('c1')->connstr('postgres') ], 'a node can be dumped');
$f->sql('c1', 'CREATE DATABASE restored');
$f->node('c1')->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $f->node('c1')->connstr('restored') ], 'and restored');
is($f->node('c1')->safe_psql('restored', 'SELECT vectorshard.self_node()'), 0, 'the restored database is no node');
is($f->node('c1')->safe_psql('restored', 'SELECT count(*) FROM ONLY trip'), $f->sql('c1', 'SELECT count(*) FROM ONLY trip'), 'it has the rows');
my ($rc, $out, $err) = $f->node('c1')->psql('restored', "SELECT vectorshard.create_fabric('r', $place)", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  55000: .*HINT: /s, 'and may not become one as it is');

# A clock that is ahead.
my $ahead_s = 9;
append_to_file("$dir/ahead.c", <<"C");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int rc = real(id, t);
  if (id == CLOCK_REALTIME) t->tv_sec += $ahead_s;
  return rc;
}
int gettimeofday(struct timeval *restrict t, void *restrict zone) {
  (void)zone;
  struct timespec s;
  clock_gettime(CLOCK_REALTIME, &s);
  t->tv_sec = s.tv_sec;
  t->tv_usec = s.tv_nsec / 1000;
  return 0;
}
C
command_ok([ 'cc', '-shared', '-fPIC', '-o', "$dir/ahead.so", "$dir/ahead.c", '-ldl' ], 'a clock that is ahead');
$f->sql('e2', q{INSERT INTO trip VALUES ('car2', 70, 'e2')});
$f->poll('e2', $arrived, 0, 'e2 has shipped everything');
my $believed = $f->node('e2')->data_dir . '/vectorshard/wall';
ok($f->wait_for(sub { -e $believed }), 'the clock that the peers agree with is on disk');
$f->node('e2')->stop;
{
	local $ENV{LD_PRELOAD} = "$dir/ahead.so";
	$f->node('e2')->start;
	# So it is not the machine's, wrong since the last start, that versions are made of; after a crash neither.
	for my $how ('a start', 'a crash') {
		$f->poll('e2', q{SELECT abs(extract(epoch FROM now()) * 1000 - vectorshard.wall_ms()) > 5000}, 't', "$how: the machine's clock is ahead, and not believed");
		$f->sql('e2', "INSERT INTO trip VALUES ('car2', 69, '$how') ON CONFLICT (car, id) DO UPDATE SET note = excluded.note");
		$f->poll('c1', q{SELECT note FROM ONLY trip WHERE car = 'car2' AND id = 69}, $how, "$how: what it writes is taken");
		last if $how eq 'a crash';
		ok($f->kill9_and_restart('e2'), 'it runs again');
	}
	$f->node('e2')->stop;
	# Nothing is kept over a boot of the machine.
	unlink $believed or die;
	$f->node('e2')->start;
}
ok($f->wait_for(sub { $f->error_of('e2', q{INSERT INTO trip VALUES ('car2', 71, 'ahead') ON CONFLICT DO NOTHING}) =~ /ERROR:  55000: the clock of this node is refused.*HINT: /s }),
	'a node whose clock is ahead stamps nothing');
refused('e2', q{INSERT INTO trip VALUES ('unheard', 1)}, 55000, 'clock of this node', 'not for a new client either');
$f->poll('c1', q{SELECT last_error LIKE 'its clock is %ahead%' FROM vectorshard.ship_lag WHERE node = 'e2'}, 't', 'its peers tell why');
is($f->sql('e2', $here . q{SELECT count(*) FROM trip WHERE car = 'car2' AND id <= 70}), 5, 'it still reads');
cmp_ok(scalar(() = slurp_file($f->node('e2')->logfile) =~ /clock of this node is refused/g), '<', 200, 'its log is not flooded');
$f->node('e2')->restart;
$f->poll('e2', q{INSERT INTO trip VALUES ('car2', 72, 'right') ON CONFLICT DO NOTHING RETURNING id}, "72", 'it stamps again when its clock is right');
$f->poll('c1', q{SELECT vectorshard.retry_conflicts() * 0 + (SELECT count(*) FROM ONLY trip WHERE car = 'car2' AND id = 72)}, 1, 'and nothing is lost');
is($f->client_hash('c1', 'trip', 'car2', 'car'), $f->client_hash('e2', 'trip', 'car2', 'car'), 'nor what it wrote while it was ahead');

done_testing();
