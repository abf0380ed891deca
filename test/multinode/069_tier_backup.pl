# Topology: core c1 with a streaming standby, servers restored from an older base backup and from a dump; a directory as a store, an
# encrypted one, and OpenStack Swift's S3 interface behind a proxy.
# Proves: a standby reads cold rows by what its manifest says, writes nothing, and goes on with everything when it is promoted; a restored
# older backup finds the objects of its time as long as object_retention_s keeps them, and says which are gone when it does not; a restored
# dump reads and brings back nothing that is not there; what a kill -9 left in a store is gone after one pass of the worker.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my ($store, $vault) = (PostgreSQL::Test::Utils::tempdir, PostgreSQL::Test::Utils::tempdir);
my $keys = PostgreSQL::Test::Utils::tempdir . '/keys';
open my $out, '>', $keys or die $!;
print $out 'k1 ', '5a' x 32, "\n";
close $out;
chmod 0600, $keys;
my $config = "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\nvectorshard.store_timeout_ms = 3000\nvectorshard.store_key_file = '$keys'\n";
my $f = Fabric->new(core => 'c1', config => $config);
my $c1 = $f->node('c1');
$f->sql('c1', qq{
	SELECT vectorshard.create_store('cold', 'file://$store'), vectorshard.create_store('vault', 'file://$vault', encrypted => true);
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'car' || c, i, repeat(md5(c || '/' || i), 5) FROM generate_series(1, 6) c, generate_series(1, 100) i;
	CREATE TABLE event (id int NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i % 700, md5(i::text) FROM generate_series(1, 2000) i;
});
my $trips = q{SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY client, id)) FROM trip t};
my $events = q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event e};
my %truth = (trips => $f->sql('c1', $trips), events => $f->sql('c1', $events));
sub moved {
	my ($call, $what) = @_;
	my $move = $f->sql('c1', "SELECT vectorshard.$call");
	$f->poll_until('c1', "SELECT state IN ('done', 'failed', 'grace') FROM vectorshard.tier_moves WHERE move = $move", 't');
	return isnt($f->sql('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move"), 'failed', $what) || diag($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"));
}
sub copies { my ($n) = @_; my @c = glob $n->data_dir . '/vectorshard/pgsql_tmp_spool/read/*.parquet'; return scalar @c; }
sub objects { return join ' ', sort glob "{$store,$vault}/node1/*"; }
moved("move_to_cold('car$_', '" . ($_ == 1 ? 'cold' : 'vault') . "')", "car$_ goes to a store") for 1, 2;
moved(q{move_to_cold('event_1'::regclass, 'vault', interval '0')}, 'a partition, too');

# A dump.
is($f->sql('c1', $trips), $truth{trips}, 'all is read');
cmp_ok(copies($c1), '>', 0, 'by copies');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$c1->command_ok([ 'pg_dump', '-d', 'postgres', '-f', $dump ], 'pg_dump');
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init;
$restored->append_conf('postgresql.conf', "shared_preload_libraries = 'vectorshard'\nwal_level = logical\nmax_worker_processes = 32\n$config");
$restored->start;
$restored->safe_psql('postgres', 'CREATE ROLE fabric');
$restored->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', $dump ], 'and restore');
is($restored->safe_psql('postgres', q{SELECT string_agg(DISTINCT client, ' ' ORDER BY client) FROM trip}), 'car3 car4 car5 car6', 'a restored dump has what was in the heap');
is($restored->safe_psql('postgres', $events), $truth{events}, 'and reads partitions from their objects');
is($restored->safe_psql('postgres', q{SELECT vectorshard.load_cold_clients()}), '200', 'load_cold_clients()');
is($restored->safe_psql('postgres', $trips), $truth{trips}, 'brings the others');
is($restored->safe_psql('postgres', q{SELECT vectorshard.load_cold_clients()}), '0', 'once');
like(join('', $f->error_of('c1', q{SELECT vectorshard.load_cold_clients()})), qr/55000: this database is a node of a fabric/, 'a node needs it not');
$restored->stop('immediate');

# A streaming standby.
$c1->backup('base');
ok(!-e $c1->backup_dir . '/base/vectorshard/pgsql_tmp_spool', 'a base backup has no copies of objects');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($c1, 'base', has_streaming => 1);
$standby->start;
sub caught_up { $c1->wait_for_catchup($standby, 'replay', $c1->lsn('insert')); return; }
caught_up();
is($standby->safe_psql('postgres', $trips), $truth{trips}, 'the standby reads cold clients');
is($standby->safe_psql('postgres', $events), $truth{events}, 'and the partition');
cmp_ok(copies($standby), '>', 1, 'by copies of its own');
moved("move_to_cold('car3', 'vault')", 'another client goes while it streams');
# A transaction on the standby, of which it tells: what it needs stays in the stores, though objects are kept for no time.
caught_up();
my $far = $standby->background_psql('postgres');
$far->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM trip LIMIT 1');
$standby->append_conf('postgresql.conf', "hot_standby_feedback = on\nwal_receiver_status_interval = 1");
$standby->reload;
$f->poll('c1', q{SELECT backend_xmin IS NOT NULL FROM pg_stat_replication}, 't', 'the standby tells what it reads');
is($f->sql('c1', q{SELECT vectorshard.move_to_hot('car1')}), 't', 'and one comes back');
$f->sql('c1', $_) for 'SELECT vectorshard.retire_segments()', 'ALTER SYSTEM SET vectorshard.object_retention_s = 0', 'SELECT pg_reload_conf()',
	q{INSERT INTO vectorshard.made_object (store, object_key, made_at) VALUES ('cold', 'node1/none.parquet', now() - interval '1 min')},
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'};
$f->poll('c1', q{SELECT count(*) FROM vectorshard.made_object WHERE object_key = 'node1/none.parquet'}, '0', 'the worker has tidied');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment WHERE state = 'dead'}), '1', 'what the standby may read is not removed');
caught_up();
unlink glob $standby->data_dir . '/vectorshard/pgsql_tmp_spool/read/*';
is($far->query_safe($trips), $truth{trips}, 'it is read there');
$f->sql('c1', $_) for 'ALTER SYSTEM RESET vectorshard.object_retention_s', 'SELECT pg_reload_conf()';
$far->quit;
caught_up();
is($standby->safe_psql('postgres', $trips), $truth{trips}, 'the standby follows');
is($standby->safe_psql('postgres', q{SELECT string_agg(DISTINCT client, ' ' ORDER BY client) FROM vectorshard.cold_client}), 'car2 car3', 'by its manifest');
is($standby->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE ok) || ' ' || count(*) FILTER (WHERE NOT ok) FROM vectorshard.verify_store(deep => true)}), $f->sql('c1', q{SELECT count(*) || ' 0' FROM vectorshard.segment WHERE state = 'live'}), 'it can look after the stores');
my ($rc, undef, $err) = $standby->psql('postgres', q{SELECT vectorshard.move_to_hot('car2')});
like($err, qr/ERROR:  (it is not certain that this server is node 1|cannot execute .* in a read-only transaction)/, 'and changes nothing');

# An older backup, restored beside: what left the store since is there still, while the retention keeps it.
$f->sql('c1', q{SELECT vectorshard.move_to_hot('car2'), vectorshard.move_to_hot('car3'); SELECT vectorshard.retire_segments()});
my $old = PostgreSQL::Test::Cluster->new('old');
$old->init_from_backup($c1, 'base');
$old->append_conf('postgresql.conf', "vectorshard.object_retention_s = 0\nvectorshard.tiering_interval_ms = 50\n");    # what a careless operator may set
my $before = objects();
$old->start;
is($old->safe_psql('postgres', $trips), $truth{trips}, 'a restored backup finds the objects of its time');
is($old->safe_psql('postgres', $events), $truth{events}, 'all of them');
# Its worker has made a round, which begins with tidying, since the server may write as the node.
$old->poll_query_until('postgres', q{SELECT vectorshard.next_version() > 0});
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'};
$old->poll_query_until('postgres', $worker =~ s/SELECT pid/SELECT count(*) = 1/r);
my $pid = $old->safe_psql('postgres', $worker);
$old->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$old->poll_query_until('postgres', "$worker AND wait_event_type = 'Extension' AND pid <> $pid" =~ s/SELECT pid/SELECT count(*) = 1/r);
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.verify_store(deep => true) WHERE NOT ok}), '0', 'and removes none of those that came later');
is(objects(), $before, 'nor any other');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment WHERE state = 'dead'}), '3', 'dead segments wait');
$old->stop('immediate');

# Promotion.
caught_up();
$c1->stop('fast');
$standby->promote;
$standby->poll_query_until('postgres', q{SELECT NOT pg_is_in_recovery()});
is($standby->safe_psql('postgres', $trips), $truth{trips}, 'promoted, it reads all');
is($standby->safe_psql('postgres', $events), $truth{events}, 'of both kinds');

ok($standby->poll_query_until('postgres', q{SELECT vectorshard.move_to_cold('car4', 'vault') > 0}), 'it moves clients on');
ok($standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM vectorshard.cold_client WHERE client = 'car4'}), 'to their store');
is($standby->safe_psql('postgres', $trips), $truth{trips}, 'all is there');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM vectorshard.verify_store(deep => true) WHERE NOT ok}), '0', 'and the stores are well');

# What a kill leaves. In a directory: the file of a put; the clients' words do not compress.
$standby->safe_psql('postgres', q{
	CREATE TABLE big (client text COLLATE "C", id int, words bytea, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('big', 'client');
	INSERT INTO big SELECT 'large', i, (SELECT string_agg(sha256((i::text || '/' || j)::bytea), '') FROM generate_series(1, 200) j WHERE i > 0) FROM generate_series(1, 4000) i;
});
$f->{nodes}{c1} = $standby;
my $left = '';
for (1 .. 6) {
	$standby->safe_psql('postgres', q{SELECT vectorshard.move_to_hot('large')});
	$standby->safe_psql('postgres', q{SELECT vectorshard.move_to_cold('large', 'cold')});
	my $until = time + 20;
	while (time < $until) { last if ($left) = glob "$store/node1/*.tmp-*"; usleep(500); }
	$standby->kill9;
	$left = join ' ', glob "$store/node1/*.tmp-*";
	$f->start_again('c1');
	last if $left ne '';
	$f->poll_until('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0');
}
isnt($left, '', 'kill -9 in the middle of a put leaves a part of it');
ok($f->wait_for(sub { !(glob "$store/node1/*.tmp-*")[0] && !(glob $standby->data_dir . '/vectorshard/pgsql_tmp_spool/*.tmp')[0] }, 30), 'which the worker removes when it has started, and its own files too');
is($f->sql('c1', q{SELECT count(*) || ' ' || sum(length(words)) FROM big}), '4000 25600000', 'no row is lost');
# In S3: a multipart upload, whose second part the store never answers.
my $swift = ObjectStores->swift(PostgreSQL::Test::Utils::tempdir);
my $proxy = $swift->proxy;
$standby->psql('postgres', "SELECT vectorshard.create_store('far', '" . $proxy->url('f') . "')");
$f->sql('c1', 'CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (' . $swift->options . ')');
sub uploads { my $status = $swift->request('GET', '/cold', uploads => ''); die "uploads: $status" if $status != 200; return join ' ', $swift->{body} =~ m{<UploadId>([^<]*)}g; }
$proxy->rules({ method => 'PUT', match => 'partNumber=2', times => 100, do => 'hang', seconds => 60 });
$f->sql('c1', q{SELECT vectorshard.move_to_hot('large')});
$f->sql('c1', q{SELECT vectorshard.move_to_cold('large', 'far')});
ok($f->wait_for(sub { $proxy->log =~ /partNumber=2/ }, 60), 'S3: the second part of an upload hangs');
$standby->kill9;
isnt(uploads(), '', 'S3: kill -9 leaves the upload');
$proxy->rules();
$f->start_again('c1');
ok($f->wait_for(sub { uploads() eq '' }, 60), 'S3: which the worker aborts when it has started');
# The request may be carried out now: then there is an object, and it counts.
$f->poll('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0', 'S3: the move ends');
is($f->sql('c1', q{SELECT string_agg(problem, ' ') FROM vectorshard.verify_store('far') WHERE NOT ok}), '', 'S3: nothing is left that does not count');
is($f->sql('c1', q{SELECT count(*) || ' ' || sum(length(words)) FROM big}), '4000 25600000', 'no row is lost');
$swift->stop;

# When the retention is over, an older backup says what it lacks.
$standby->append_conf('postgresql.conf', 'vectorshard.object_retention_s = 0');
$standby->restart;
ok($standby->poll_query_until('postgres', q{SELECT count(*) = 0 FROM vectorshard.segment WHERE state = 'dead'}), 'objects go when they are old enough');
$standby->stop('fast');
my $older = PostgreSQL::Test::Cluster->new('older');
$older->init_from_backup($c1, 'base');
$older->start;
(undef, undef, $err) = $older->psql('postgres', $trips);
like($err, qr/ERROR:  segment object "node1\/[^"]+" cannot be read.*HINT:  Restore the object/s, 'a backup that is older than the retention names the object that is gone');
is($older->safe_psql('postgres', $events), $truth{events}, 'and reads what is there');
$older->stop('immediate');

done_testing();
