# Topology: core c1, edge e1; object stores on this machine: OpenStack Swift with its S3 interface, and Azurite.
# Proves: clients and a partition go to an S3 and an Azure store and come back with equal contents; a store that dies is named and read
# again when it is back; a large object goes in parts; credentials stand in user mappings alone, and the secret is in no log, error or view;
# check_store() tells in words what is wrong; the reading role needs nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;

my %store = (s3 => ObjectStores->swift(PostgreSQL::Test::Utils::tempdir), azure => ObjectStores->azurite(PostgreSQL::Test::Utils::tempdir));
my %secret = (s3 => 'testing', azure => $ObjectStores::AZURITE_KEY);
my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\n"
	. "vectorshard.store_timeout_ms = 3000\nlog_min_messages = log\nlog_min_error_statement = panic\n");
$f->sql('c1', q{
	CREATE ROLE app LOGIN;
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	GRANT SELECT ON trip TO app;
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'car' || c, i, repeat(md5(c || '/' || i), 20) FROM generate_series(1, 4) c, generate_series(1, 100) i;
	CREATE TABLE event (id int NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i % 300, md5(i::text) FROM generate_series(1, 2000) i;
});
$f->poll('e1', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'the edge has the table');

sub trips { my ($node, $client, $as) = @_; return $f->sql($node, ($as ? "SET ROLE $as; " : '') . "SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = '$client'"); }
sub events { return $f->sql('c1', q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event e}); }
sub state_of { my ($move) = @_; return "SELECT state FROM vectorshard.tier_moves WHERE move = $move"; }
sub moved { my ($sql, $state, $what) = @_; my $move = $f->sql('c1', $sql); return $f->poll('c1', state_of($move), $state, $what) || diag($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move")); }
# What is kept of objects on the node's own disk.
sub forget_copies { unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*'; return; }
sub check { my ($name) = @_; return $f->sql('c1', "SELECT string_agg(step || CASE WHEN ok THEN '' ELSE '!' END, ' ') FROM vectorshard.check_store('$name')"); }
sub told { my ($name) = @_; return $f->sql('c1', "SELECT detail FROM vectorshard.check_store('$name') WHERE NOT ok LIMIT 1"); }
my $all_steps = 'credentials list write look read range delete';

my %truth = map { ($_ => trips('c1', $_)) } map { "car$_" } 1 .. 4;
my $events = events();

for my $kind ('s3', 'azure') {
	my $s = $store{$kind};
	my $name = "cold_$kind";
	# Without credentials it is named, and what to do is said; secrets stand nowhere but in the mapping.
	my ($rc, $out, $err) = $f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('$name', '" . $s->url('fold/er') . "')");
	like($err, qr/NOTICE:  store "$name" has no credentials.*HINT:  CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS/s, "$kind: a store without credentials");
	like($f->error_of('c1', "SELECT vectorshard.move_to_cold('nobody', '$name')"), qr/not known/, 'other errors come first');
	is(check($name), 'credentials!', 'check_store() says so');
	like($f->error_of('c1', "ALTER SERVER $name OPTIONS (ADD " . ($kind eq 's3' ? 'secret_access_key' : 'account_key') . " 'hush')"), qr/not allowed on a server/, 'no secret on a server');
	$f->sql('c1', "CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (" . $s->options . ')');
	is(check($name), $all_steps, 'with credentials all steps work');
	is(join(',', $s->names), '', 'and leave nothing');

	# Clients.
	moved("SELECT vectorshard.move_to_cold('$_', '$name')", 'done', "$kind: $_ goes to the store") for 'car1', 'car2';
	is(scalar(my @n = $s->names), 2, 'two objects');
	like($n[0], qr{^fold/er/node1/}, 'in its folder');
	is($f->sql('c1', 'SELECT count(*) FROM ONLY trip'), 200, 'their rows are not in the heap');
	forget_copies();
	is(trips('c1', 'car1', 'app'), $truth{car1}, 'a role without any credentials reads');
	is(trips('e1', 'car2'), $truth{car2}, 'the edge reads through the home');

	# The store dies and comes back.
	forget_copies();
	$s->stop;
	$err = $f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car1'});
	like($err, qr/08006: segment object "node1\/[^"]+" cannot be read.*no connection/s, 'a dead store: the object is named');
	like($f->error_of('c1', q{SELECT vectorshard.move_to_hot('car1')}), qr/cannot be read/, 'nothing comes back half');
	is(check($name), 'credentials list!', 'check_store() ends there');
	my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('car3', '$name')");
	$f->poll('c1', "SELECT errors > 0 OR state = 'failed' FROM vectorshard.tier_moves WHERE move = $move", 't', 'a move to it waits or is taken back');
	is(trips('c1', 'car3'), $truth{car3}, 'its rows are there');
	$s->start;
	$f->wait_for(sub { check($name) eq $all_steps });
	is(trips('c1', 'car1'), $truth{car1}, 'it is back: all is read');
	$f->poll('c1', state_of($move) . q{ AND state IN ('done', 'failed')}, $f->sql('c1', state_of($move) . q{ AND state = 'failed'}) || 'done', 'the move ends');

	# A secret that is wrong.
	forget_copies();
	my $option = $kind eq 's3' ? 'secret_access_key' : 'account_key';
	$f->sql('c1', "ALTER USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (SET $option 'd3Jvbmc=')");
	like($f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car1'}), qr/28000: segment object.*HINT/s, 'a wrong secret');
	like(told($name), $kind eq 's3' ? qr/secret access key is wrong/ : qr/account key or SAS token is wrong/, 'in words');
	$f->sql('c1', "ALTER USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (SET $option '$secret{$kind}')");

	# Back, and a partition there and back.
	for my $car ('car1', 'car2', 'car3') {
		$f->sql('c1', "SELECT vectorshard.move_to_hot('$car')");
		is($f->client_hash('c1', 'trip', $car) =~ s/ //r, $f->sql('c1', "SELECT count(*) || md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM ONLY trip t WHERE client = '$car'"), "$car is back in the heap");
		is(trips('c1', $car), $truth{$car}, 'the same rows');
	}
	moved("SELECT vectorshard.move_to_cold('event_1'::regclass, '$name', '0 s')", 'done', "$kind: a partition goes to the store");
	forget_copies();
	is(events(), $events, 'and is read there');
	moved(q{SELECT vectorshard.move_to_hot('event_1'::regclass, grace => '0 s')}, 'done', 'and comes back');
	is(events(), $events, 'with the same rows');
}

# Azure takes a SAS token instead of the key: one that may do all, one that may only read.
for my $rights ('rwdlac', 'rl') {
	my $token = $store{azure}->sas($rights);
	$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('sas', '" . $store{azure}->url('sas') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER sas OPTIONS (sas_token '$token')");
	is(check('sas'), $rights eq 'rl' ? 'credentials list write!' : $all_steps, "a SAS token for $rights");
	like(told('sas'), qr/has no right to do this/, 'in words') if $rights eq 'rl';
	unlike(told('sas') // '', qr/sig=/, 'without the token');
	$f->sql('c1', q{SELECT vectorshard.drop_store('sas')});
}

# Names that are taken, and errors of use.
$f->sql('c1', q{CREATE SERVER other FOREIGN DATA WRAPPER vectorshard_fdw});
like($f->error_of('c1', "SELECT vectorshard.create_store('$_', 's3://cold/x')"), qr/42710: a store cannot be called "$_"/, "a store called $_") for 'other', 'e1', 'fabric';
like($f->error_of('c1', q{SELECT vectorshard.create_store('bad', 's3://cold/x?secret_access_key=hush')}), qr/22023: option "secret_access_key" must not stand in the URL(?!.*hush)/s, 'no secret in a URL');
like($f->error_of('c1', q{CREATE USER MAPPING FOR app SERVER cold_s3 OPTIONS (secret 'x')}), qr/HV00D: .*secret_access_key/s, 'unknown options');
$f->node('c1')->psql('postgres', q{SELECT vectorshard.create_store('far', 's3://cold/x?endpoint=http://10.255.255.1:9000'); CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (access_key_id 'a', secret_access_key 'b')});
like(told('far'), qr/without encryption/, 'http over a network is refused');
$f->sql('c1', q{ALTER SERVER far OPTIONS (ADD allow_http 'on')});
unlike(told('far'), qr/without encryption/, 'unless it is allowed');
for my $url ('s3://none/x', 's3://cold/x?region=mars-1') {
	my $other = $url =~ /none/ ? 'nobucket' : 'elsewhere';
	$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('$other', '" . $url . ($url =~ /\?/ ? '&' : '?') . "endpoint=http://127.0.0.1:$store{s3}{port}'); CREATE USER MAPPING FOR CURRENT_USER SERVER $other OPTIONS (" . $store{s3}->options . ')');
	like(told($other), $other eq 'nobucket' ? qr/bucket does not exist/ : qr/bucket is in another region/, "check_store(): $other");
}
$f->sql('c1', "SELECT vectorshard.drop_store('$_')") for 'far', 'nobucket', 'elsewhere';
is($f->sql('c1', q{SELECT string_agg(srvname, ' ' ORDER BY srvname) FROM pg_foreign_server WHERE srvtype = 'store'}), 'cold_azure cold_s3', 'drop_store() drops the server');

# TLS: a server that nobody trusts, until its certificate is named.
{
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	system("openssl req -x509 -newkey rsa:2048 -nodes -keyout $dir/key -out $dir/cert -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost >/dev/null 2>&1") == 0 or die 'openssl';
	my $tls = bless { pids => [], kind => 's3' }, 'ObjectStores';
	$tls->spawn("$dir/log", 'openssl', 's_server', '-accept', $port, '-key', "$dir/key", '-cert', "$dir/cert", '-www', '-quiet');
	ObjectStores::wait_port($port);
	$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('tls', 's3://cold/x?endpoint=https://localhost:$port'); CREATE USER MAPPING FOR CURRENT_USER SERVER tls OPTIONS (access_key_id 'a', secret_access_key 'b')");
	like(told('tls'), qr/no TLS connection that can be trusted/, 'a certificate that nobody trusts');
	$f->sql('c1', "ALTER SERVER tls OPTIONS (ADD sslrootcert '$dir/cert')");
	unlike(told('tls'), qr/TLS/, 'sslrootcert names it');
	$f->sql('c1', q{SELECT vectorshard.drop_store('tls')});
	$tls->stop;
}

# The secret: in no server's log, no error, no view that others can read.
for my $node ('c1', 'e1') {
	my $log = slurp_file($f->node($node)->logfile);
	$log =~ s/^.*(CREATE|ALTER) USER MAPPING.*$//mg;    # log_statement, which the test's servers have on, is PostgreSQL's own
	ok(index($log, $_) < 0, "the log of $node has no secret") for $secret{azure}, 'secret_access_key \'testing', 'AWS4testing';
}
is($f->sql('c1', qq{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%$secret{azure}%' AND pid <> pg_backend_pid()}), 0, 'pg_stat_activity neither');
like($f->error_of('c1', 'SET ROLE app; SELECT umoptions FROM pg_user_mapping'), qr/42501/, 'others cannot read the mapping');
is($f->sql('c1', q{SET ROLE app; SELECT count(*) FROM pg_user_mappings WHERE umoptions IS NOT NULL}), 0, 'nor its view');
like($f->error_of('c1', "SET ROLE app; SELECT vectorshard.$_"), qr/42501/, "an application may not: $_") for q{check_store('cold_s3')}, q{thaw('x')}, q{create_store('x', 's3://cold/x')};
unlike($f->sql('c1', q{SELECT string_agg(s::text, '') FROM vectorshard.store s}), qr/testing|Eby8/, 'the table of stores has no secret');

done_testing();
