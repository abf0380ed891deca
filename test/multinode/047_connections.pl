# Topology: core c1 (batches plain), edges e1 (zstd) and e2 (lz4); four connections to each peer.
# Proves: with several connections and compressed batches holders converge under concurrent writers, deletes, a connection
# that is killed again and again and a peer that is dead; clients are spread over the connections, and the numbers can be
# changed while all write.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.keep_s = 100000\nvectorshard.placement_mode = off\nvectorshard.peer_connections = 4\nvectorshard.peer_queue_mb = 4\n");
my @nodes = ('c1', 'e1', 'e2');
my %compression = (c1 => 'off', e1 => 'zstd', e2 => 'lz4');
for my $n (@nodes) { $f->node($n)->append_conf('postgresql.conf', "vectorshard.batch_compression = $compression{$n}\n"); $f->node($n)->reload; }
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text);
  SELECT vectorshard.create_reference_table('kind')});
$f->poll($_, q{SELECT to_regclass('kind') IS NOT NULL}, 't', "$_ has the tables") for @nodes;
my %own = (c1 => -1, e1 => -2, e2 => -3);
$f->sql($_, "INSERT INTO trip SELECT 'car' || c, $own{$_}, '$_' FROM generate_series(1, 20) c") for @nodes;
$f->poll($_, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend'}, '8', "$_ has four connections of each peer") for @nodes;

sub converge {
	my ($what) = @_;
	$f->poll($_, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$what: $_ owes nothing", 120) for @nodes;
	for my $table ('trip', 'kind') {
		my $sum = "SELECT count(*) || ' ' || coalesce(sum(hashtext(t::text)::bigint), 0) FROM ONLY $table t";
		my $all = $f->sql('c1', $sum);
		is($f->sql($_, $sum), $all, "$what: $_ has the same rows of $table") for ('e1', 'e2');
	}
	return;
}
my $script = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{
\set car random(1, 20)
\set id random(1, 50)
INSERT INTO trip SELECT 'car' || :car, g, repeat(md5(random()::text), 10) FROM generate_series(:id, :id + 5) g ON CONFLICT (car, id) DO UPDATE SET note = excluded.note;
DELETE FROM trip WHERE car = 'car' || :car AND id = :id;
INSERT INTO kind VALUES (:id, md5(random()::text)) ON CONFLICT (id) DO UPDATE SET words = excluded.words;
});
my @complaints = ('') x @nodes;
my @writers = map { IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-t', '150', '-f', $script, '-h', $f->node($nodes[$_])->host, '-p', $f->node($nodes[$_])->port, 'postgres' ], '>', \my $o, '2>', \$complaints[$_]) } 0 .. $#nodes;
my $killed = 0;
for my $n ('c1', 'e1', 'e2', 'c1') {
	$f->poll($n, q{SELECT count(*) >= 4 FROM pg_stat_activity WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend'}, 't', "$n is connected to");
	$killed += $f->sql($n, q{SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend' ORDER BY random() LIMIT 3) p});
}
ok($writers[$_]->finish, "the writers of $nodes[$_] end without an error") or diag($complaints[$_]) for 0 .. $#nodes;
cmp_ok($killed, '>', 6, "$killed connections were killed");
converge('connections killed');

# A dead peer; meanwhile other numbers and methods.
$f->node('e2')->stop('immediate');
$f->sql('e1', q{UPDATE trip SET note = note || '!'});
for my $n ('c1', 'e1') { $f->node($n)->append_conf('postgresql.conf', "vectorshard.peer_connections = 2\nvectorshard.batch_compression = lz4\n"); $f->node($n)->reload; }
$f->sql('c1', q{UPDATE trip SET note = note || '?' WHERE car < 'car2'});
$f->start_again('e2');
converge('a dead peer');
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend'}, '6', 'c1 has two connections of e1 and four of e2');
done_testing();
