# Topology: core c1, edge e1, which reach each other over TLS only: certificates of an authority made here, names verified.
# Proves: TLS options of server objects reach libpq for every link (join, shipping both ways, reading, copying); a server
# whose certificate is another authority's is not spoken to, before anything is sent; a client certificate is used.
use strict;
use warnings;
use Fabric;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $run = sub { my ($command) = @_; system("cd $dir && $command >>openssl.log 2>&1") == 0 or die "$command: " . PostgreSQL::Test::Utils::slurp_file("$dir/openssl.log"); };
for my $ca ('right', 'wrong') {
	$run->("openssl req -new -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=$ca-ca -keyout $ca-ca.key -out $ca-ca.crt");
	for my $who ('server', 'postgres') {
		$run->("openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=$who -keyout $ca-$who.key -out $ca-$who.csr");
		PostgreSQL::Test::Utils::append_to_file("$dir/$ca-$who.ext", "subjectAltName = IP:127.0.0.1\n");
		$run->("openssl x509 -req -days 2 -in $ca-$who.csr -CA $ca-ca.crt -CAkey $ca-ca.key -CAcreateserial -extfile $ca-$who.ext -out $ca-$who.crt");
		chmod 0600, "$dir/$ca-$who.key";
	}
}
my $f = Fabric->new(core => 'c1', edges => ['e1'], connect => 0,
	config => "ssl = on\nssl_ca_file = '$dir/right-ca.crt'\nssl_cert_file = '$dir/right-server.crt'\nssl_key_file = '$dir/right-server.key'\nvectorshard.keep_s = 100000\n");
my $user = 'fabric';
for my $n ('c1', 'e1') {
	# Over TCP: with TLS and a certificate of ours only.
	my $hba = $f->node($n)->data_dir . '/pg_hba.conf';
	open my $out, '>', $hba or die $!;
	print $out "local all all trust\nhostssl all all 127.0.0.1/32 cert map=ours\n";
	close $out;
	PostgreSQL::Test::Utils::append_to_file($f->node($n)->data_dir . '/pg_ident.conf', "ours postgres $user\n");
	$f->node($n)->reload;
}
my $tls = sub { my ($ca) = @_; return "sslmode 'verify-full', sslrootcert '$dir/$ca-ca.crt', sslcert '$dir/$ca-postgres.crt', sslkey '$dir/$ca-postgres.key', ssl_min_protocol_version 'TLSv1.2', connect_timeout '10'"; };
my $port = $f->node('c1')->port;
$f->sql('c1', "SELECT vectorshard.create_fabric('c1', " . $f->place(0) . ')');
$f->sql('c1', "ALTER SERVER fabric OPTIONS (" . $tls->('right') . "); CREATE USER MAPPING FOR CURRENT_USER SERVER fabric OPTIONS (user '$user')");

# Not trusted: an authority that is not ours; no TLS at all.
$f->sql('e1', "CREATE SERVER hub FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', " . $tls->('wrong') . ");
  CREATE USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (user '$user')");
my $join = "SELECT vectorshard.join_fabric('e1', 'hub', " . $f->place(1) . ')';
like($f->error_of('e1', $join), qr/certificate verify failed/, 'a server of another authority is not trusted');
$f->sql('e1', q{ALTER SERVER hub OPTIONS (DROP sslmode, DROP sslrootcert, DROP sslcert, DROP sslkey)});
like($f->error_of('e1', $join), qr/certificate/, 'without a client certificate there is no way in');
$f->sql('e1', "DROP SERVER hub CASCADE; CREATE SERVER hub FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', " . $tls->('right') . ");
  CREATE USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS (user '$user')");
my ($rc, $out, $err) = $f->node('e1')->psql('postgres', $join);
if ($rc) {
	diag($err);
}
is($rc, 0, 'joined over TLS');
$f->sql('e1', "ALTER SERVER fabric OPTIONS (" . $tls->('right') . ')') if $f->sql('e1', q{SELECT count(*) FROM pg_foreign_server WHERE srvname = 'fabric' AND 'sslmode=verify-full' = ANY (srvoptions)}) eq '0';

$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car')});
$f->poll('e1', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'e1 has the table');
$f->sql('c1', q{INSERT INTO trip VALUES ('car1', 1, 'from c1')});
is($f->sql('e1', q{SELECT note FROM trip WHERE car = 'car1'}), 'from c1', 'read over TLS');
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 2, 'from e1')});
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE id = 2}, 'from e1', 'copied and shipped over TLS');
$f->sql('c1', q{UPDATE trip SET note = 'back' WHERE id = 1});
$f->poll('e1', q{SELECT note FROM ONLY trip WHERE id = 1}, 'back', 'and the other way');
is($f->sql($_, q{SELECT bool_and(ssl AND client_dn = '/CN=postgres') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'vectorshard shipper' AND backend_type = 'client backend'}), 't', "$_ is reached with the client certificate") for ('c1', 'e1');
done_testing();
