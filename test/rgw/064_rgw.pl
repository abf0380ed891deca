# Topology: core c1; Ceph's S3 gateway on this machine. make test-rgw installs Ceph and runs it.
# Proves: clients go there and come back with equal contents, in one part and in several; what is there is not overwritten (this store knows
# If-None-Match); check_store() finds all steps right, and tells a wrong secret.
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

done_testing();
