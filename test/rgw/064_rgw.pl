# Topology: core c1; Ceph's S3 gateway on this machine. make test-rgw installs Ceph and runs it.
# Proves: clients go there and come back with equal contents, in one part and in several; what is there is not overwritten (this store knows
# If-None-Match); check_store() finds all steps right, and tells a wrong secret; with the key and the token that the gateway gives for a role (STS AssumeRole)
# clients go there too, and without the token, or with another, it refuses, which is said in words and without the token.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;

my $rgw = ObjectStores->rgw(PostgreSQL::Test::Utils::tempdir_short());
my $proxy = $rgw->proxy;
my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\n");
$f->sql('c1', q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'small', i, md5(i::text) FROM generate_series(1, 50) i;
	INSERT INTO trip SELECT 'big', i, (SELECT string_agg(md5(i::text || '/' || j), '') FROM generate_series(1, 90) j) FROM generate_series(1, 8000) i;
});
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('ceph', '" . $proxy->url('folder') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER ceph OPTIONS (" . $proxy->options . ')');
is($f->sql('c1', q{SELECT string_agg(step || CASE WHEN ok THEN '' ELSE '!' END, ' ') FROM vectorshard.check_store('ceph')}), 'credentials list write look read range delete', 'check_store()');
for my $client ('small', 'big') {
	my $hash = "SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = '$client'";
	my $truth = $f->sql('c1', $hash);
	my $put = $client eq 'small' ? { method => 'PUT', match => 'node1' } : { method => 'POST', match => 'uploadId' };
	$proxy->rules({ %$put, do => 'reset', late => 1 });    # it is done, and the next try finds the key taken
	my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('$client', 'ceph')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$client goes to the store") || diag($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"));
	unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*';
	is($f->sql('c1', $hash), $truth, 'is read there');
	is($f->sql('c1', "SELECT vectorshard.move_to_hot('$client')"), 't', 'comes back');
	is($f->sql('c1', $hash), $truth, 'the same');
}
cmp_ok(scalar(my @n = $rgw->names), '>=', 2, 'objects are there');
$f->sql('c1', q{ALTER USER MAPPING FOR CURRENT_USER SERVER ceph OPTIONS (SET secret_access_key 'wrongwrong')});
like($f->sql('c1', q{SELECT detail FROM vectorshard.check_store('ceph') WHERE NOT ok LIMIT 1}), qr/secret access key is wrong/, 'a wrong secret');

# Credentials for an hour: of no use without their token.
my $roles = $rgw->with_roles;
my $session = $roles->assume_role;
$proxy = $roles->proxy;
$f->node('c1')->psql('postgres', "SET log_statement = none; SELECT vectorshard.create_store('hour', '" . $proxy->url('hour') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER hour OPTIONS (access_key_id '$session->{key}', secret_access_key '$session->{secret}', session_token '$session->{token}')");
is($f->sql('c1', q{SELECT string_agg(step || CASE WHEN ok THEN '' ELSE '!' END, ' ') FROM vectorshard.check_store('hour')}), 'credentials list write look read range delete', 'credentials of a role: check_store()')
	|| diag($f->sql('c1', q{SELECT detail FROM vectorshard.check_store('hour') WHERE NOT ok}));
my $hash = q{SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = };
my %truth = map { ($_ => $f->sql('c1', "$hash '$_'")) } 'small', 'big';
for my $client ('small', 'big') {
	my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('$client', 'hour')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$client goes to the store") || diag($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"));
}
my $requests = $proxy->log;
cmp_ok(scalar(my @sent = $requests =~ /hour/g), '>', 5, 'the proxy has seen them');
sub forget_copies { unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*'; return; }
my %refused = ('without the token' => 'DROP session_token', 'with another token' => q{ADD session_token 'c29tZWJvZHkgZWxzZQ=='}, 'with a token that is cut' => 'SET session_token ' . "'" . substr($session->{token}, 0, 40) . "'");
for my $how ('without the token', 'with another token', 'with a token that is cut') {
	$f->sql('c1', "SET log_statement = none; ALTER USER MAPPING FOR CURRENT_USER SERVER hour OPTIONS ($refused{$how})");
	forget_copies();
	my $error = $f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'small'});
	like($error, qr/28000: segment object .* cannot be read.*Of the store: the key, or its session token, is not accepted or has no right.*HINT: .*ALTER USER MAPPING/s, "$how: refused");
	unlike($error, qr/\Q$session->{secret}\E|\Q@{[ substr($session->{token}, 0, 40) ]}\E|c29tZWJvZHk/, 'no secret in the error');
}
$f->sql('c1', "SET log_statement = none; ALTER USER MAPPING FOR CURRENT_USER SERVER hour OPTIONS (SET session_token '$session->{token}')");
for my $client ('small', 'big') {
	forget_copies();
	is($f->sql('c1', "$hash '$client'"), $truth{$client}, "$client is read with it");
	is($f->sql('c1', "SELECT vectorshard.move_to_hot('$client')"), 't', 'comes back');
	is($f->sql('c1', "$hash '$client'"), $truth{$client}, 'the same');
}
is(scalar(grep { /hour\b/ && !/signed=\S*x-amz-security-token/ } split /\n/, $requests), 0, 'its token is signed in each request');
my $log = slurp_file($f->node('c1')->logfile);
is(index($log, $_), -1, 'the log has no secret') for $session->{secret}, substr $session->{token}, 0, 40;

done_testing();
