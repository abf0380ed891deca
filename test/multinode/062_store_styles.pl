# Topology: core c1; OpenStack Swift with its S3 interface, behind a proxy that tells what it was asked.
# Proves: with style=virtual each request, of whatever kind, has the bucket in its Host header and not in its path, and clients go there, whole and in
# parts, and come back the same; a session's token goes along with each request and is signed, stands in no log, and is taken away with the mapping's option.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;

my $proxy = ObjectStores->swift(PostgreSQL::Test::Utils::tempdir)->proxy;
my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\n");
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sql(q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'small', i, md5(i::text) FROM generate_series(1, 50) i;
	INSERT INTO trip SELECT 'big', i, (SELECT string_agg(md5(i::text || '/' || j), '') FROM generate_series(1, 90) j) FROM generate_series(1, 8000) i;
});
sub trips { my ($client) = @_; return sql("SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = '$client'"); }
sub forget_copies { unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*'; return; }
sub check { my ($name) = @_; return sql("SELECT string_agg(step || CASE WHEN ok THEN '' ELSE '!' END, ' ') FROM vectorshard.check_store('$name')"); }
sub made {
	my ($name, $url, $more) = @_;
	return $f->node('c1')->psql('postgres', "SET log_statement = none; SELECT vectorshard.create_store('$name', '$url'); CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (" . $proxy->options . "$more)");
}
sub asked { return split /\n/, $proxy->log; }
my $all_steps = 'credentials list write look read range delete';

# The bucket in the name of the host.
made('named', $proxy->url('fold/er', style => 'virtual', endpoint => $proxy->named), '');
$proxy->rules;
is(check('named'), $all_steps, 'style=virtual: all steps work');
my @asked = asked();
for my $client ('small', 'big') {
	my ($truth, $row) = (trips($client), sql("SELECT words FROM trip WHERE client = '$client' AND id = 7"));
	$proxy->rules;
	my $move = sql("SELECT vectorshard.move_to_cold('$client', 'named')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$client goes there") || diag(sql("SELECT error FROM vectorshard.tier_moves WHERE move = $move"));
	is(sql("SELECT count(*) FROM ONLY trip WHERE client = '$client'"), 0, 'its rows are not in the heap');
	forget_copies();
	is(sql("SELECT words FROM trip WHERE client = '$client' AND id = 7"), $row, 'one row');
	is(trips($client), $truth, 'all rows');
	is(sql("SELECT vectorshard.move_to_hot('$client')"), 't', 'comes back');
	is(trips($client), $truth, 'the same');
	push @asked, asked();
}
my $host = "host=cold.localhost:$proxy->{port} ";
is(scalar(grep { index($_, $host) < 0 } @asked), 0, 'the bucket stands in the Host header of each of ' . @asked . ' requests') or diag(join "\n", @asked);
is(scalar(grep { m{^\S+ /cold} } @asked), 0, 'and in no path');
is(scalar(grep { !/signed=(\S+;)?host[; ]?/ } @asked), 0, 'and is signed');
my %kinds = (put => qr{^PUT /fold/er/node1/}, head => qr{^HEAD /fold/er/}, list => qr{^GET /\?.*list-type=2}, range => qr{^GET /fold/er/node1/.*range=bytes=}, begin => qr{^POST \S*uploads}, part => qr{^PUT \S*partNumber=2}, complete => qr{^POST \S*uploadId}, delete => qr{^DELETE /fold/er/});
for my $kind (sort keys %kinds) { ok(scalar(grep { /$kinds{$kind}/ } @asked), "among them: $kind") or diag(join "\n", @asked); }
like($f->error_of('c1', q{SELECT vectorshard.create_store('x', 's3://cold/x?endpoint=http://127.0.0.1:9&style=virtual')}), qr/22023: style=virtual needs an endpoint with a name.*HINT.*style=path/s, 'an address has no names in it');

# A session's token. Swift gives none, and does not look at it; but it checks the signature over all headers that are named as signed.
made('session', $proxy->url('session'), q{, session_token 'token/of+a=session'});
$proxy->rules;
is(check('session'), $all_steps, 'with a token of a session');
@asked = asked();
is(scalar(grep { !/signed=\S*x-amz-security-token/ } @asked), 0, 'it goes along and is signed in each of ' . @asked . ' requests') or diag(join "\n", @asked);
$proxy->rules({ do => 'token', times => 100 });
my $told = sql(q{SELECT detail FROM vectorshard.check_store('session') WHERE NOT ok LIMIT 1});
like($told, qr/SignatureDoesNotMatch/, 'changed on its way, it is refused');
unlike($told, qr/of\+a|somebody/, 'without the token in words');
$proxy->rules;
sql(q{SET log_statement = none; ALTER USER MAPPING FOR CURRENT_USER SERVER session OPTIONS (DROP session_token)});
is(check('session'), $all_steps, 'without one');
is(scalar(grep { /security-token/ } asked()), 0, 'none is sent');
is(index(slurp_file($f->node('c1')->logfile), 'token/of+a'), -1, 'the log has no token');

done_testing();
