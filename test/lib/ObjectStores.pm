package ObjectStores;

# Object stores for tests, on loopback, as the user who runs the test: OpenStack Swift with its S3 interface, Azurite, Ceph's gateway, and
# the fault proxy before one. Ports are found free; every process is ended by its own id.
#
#   my $s = ObjectStores->swift($dir);    S3: key test:tester, secret testing, bucket "cold"
#   my $a = ObjectStores->azurite($dir);  Azure: account devstoreaccount1, container "cold"
#   my $r = ObjectStores->rgw($dir);      S3 by Ceph's gateway (make test-rgw): key test:tester, secret testing
#   my $p = $s->proxy;                    $p->rules([{…}]), $p->log, $p->archive(seconds)
#   $x->url('folder', %options)           for create_store();   $x->options: for CREATE USER MAPPING
#   $x->url('folder', style => 'virtual', endpoint => $x->named)    the bucket in the name of the host, which libcurl finds on loopback
#   my $t = $r->with_roles; $t->assume_role    its other gateway: { key, secret, token }: credentials for an hour, with the rights of a role
#   $x->stop; $x->start;   $x->upload(name, file)
use strict;
use warnings;
use Digest::MD5 qw(md5_base64);
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex hmac_sha256_base64);
use FindBin;
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX qw(strftime :sys_wait_h);
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(usleep);

my @all;

# The key of Azurite's development account, which its manual publishes.
our $AZURITE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
our $NODE_MODULES = $ENV{AZURITE_DIR} // '/usr/local/lib/vectorshard/azurite';

# The text is the command; its output goes into the file.
sub spawn {
	my ($self, $log, @command) = @_;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $log or POSIX::_exit(1);
		open STDERR, '>&', \*STDOUT;
		exec @command or POSIX::_exit(127);
	}
	push @{ $self->{pids} }, $pid;
	return;
}

sub wait_port {
	my ($port) = @_;
	for (1 .. 600) {
		return 1 if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1);
		usleep(100_000);
	}
	die "nothing listens on port $port";
}

sub write_file { my ($name, $text) = @_; open my $f, '>', $name or die "$name: $!"; print $f $text; close $f; return; }

sub swift {
	my ($class, $dir) = @_;
	my $self = bless { kind => 's3', dir => $dir, pids => [] }, $class;
	$self->{ports} = { map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(proxy account container object) };
	$self->{port} = $self->{ports}{proxy};
	mkdir "$dir/$_" or die "mkdir: $!" for qw(etc dev dev/d1 log);
	write_file("$dir/etc/swift.conf", "[swift-hash]\nswift_hash_path_prefix = x\nswift_hash_path_suffix = y\n[storage-policy:0]\nname = default\ndefault = yes\n");
	my $user = getpwuid($<);
	for my $ring (qw(account container object)) {
		for my $step ([ 'create', 2, 1, 0 ], [ 'add', "r1z1-127.0.0.1:$self->{ports}{$ring}/d1", 100 ], ['rebalance']) {
			system('/usr/bin/python3', '-W', 'ignore', '-c', "import os, sys; os.chdir('$dir/etc'); sys.argv[0] = 'swift-ring-builder'; sys.stdout = open(os.devnull, 'w')
from swift.cli.ringbuilder import main
main(sys.argv)", "$ring.builder", @$step);    # 1 is a warning
			die "ring builder failed" if $? >> 8 > 1;
		}
		write_file("$dir/etc/$ring.conf", "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = $self->{ports}{$ring}\nworkers = 0\nmount_check = false\nswift_dir = $dir/etc\n"
			  . "devices = $dir/dev\ndisable_fallocate = true\nuser = $user\nlog_address = $dir/log/none\n[pipeline:main]\npipeline = $ring-server\n[app:$ring-server]\nuse = egg:swift#$ring\nallow_versions = on\n");
	}
	write_file("$dir/etc/proxy.conf", "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = $self->{port}\nworkers = 0\nswift_dir = $dir/etc\nuser = $user\nlog_address = $dir/log/none\n"
		  . "[pipeline:main]\npipeline = catch_errors cache s3api tempauth slo proxy-server\n[filter:catch_errors]\nuse = egg:swift#catch_errors\n[filter:cache]\nuse = egg:swift#memcache\n"
		  . "memcache_servers = 127.0.0.1:1\n[filter:s3api]\nuse = egg:swift#s3api\ns3_acl = false\nlocation = us-east-1\nstorage_domain = localhost\ncheck_bucket_owner = false\nallow_multipart_uploads = true\n[filter:slo]\nuse = egg:swift#slo\n"
		  . "[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = testing .admin .reseller_admin\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\nallow_account_management = true\n");
	push @all, $self;
	$self->start;
	die "no bucket: $_" for grep { $_ ne 200 } $self->request('PUT', '/cold');
	return $self;
}

sub azurite {
	my ($class, $dir) = @_;
	my $self = bless { kind => 'azure', dir => $dir, pids => [], port => PostgreSQL::Test::Cluster::get_free_port() }, $class;
	push @all, $self;
	$self->start;
	die "no container: $_" for grep { $_ ne 201 } $self->request('PUT', '/devstoreaccount1/cold', restype => 'container');
	return $self;
}

# One monitor, one OSD in memory, two gateways; keys are needed, as a gateway does not go without. The second gives credentials for roles and takes them;
# it does not tell a wrong secret from a missing right, as the first does.
sub rgw {
	my ($class, $dir) = @_;
	my $self = bless { kind => 's3', rgw => 1, dir => $dir, pids => [], map { $_ => PostgreSQL::Test::Cluster::get_free_port() } 'port', 'sts' }, $class;
	my ($monitor, $monitor1) = map { PostgreSQL::Test::Cluster::get_free_port() } 1, 2;
	my ($fsid, $osd) = map { my $id = do { local @ARGV = '/proc/sys/kernel/random/uuid'; <> }; chomp $id; $id } 1, 2;
	mkdir "$dir/$_" or die "mkdir: $!" for qw(mon mon/a osd osd/0 run log);
	write_file("$dir/ceph.conf", "[global]\nfsid = $fsid\nmon host = [v2:127.0.0.1:$monitor,v1:127.0.0.1:$monitor1]\npublic addr = 127.0.0.1\nauth allow insecure global id reclaim = true\n"
		  . "osd pool default size = 1\nosd pool default min size = 1\nosd pool default pg num = 8\nosd pool default pgp num = 8\nosd pool default pg autoscale mode = off\nmon allow pool size one = true\n"
		  . "osd crush chooseleaf type = 0\nosd objectstore = memstore\nmemstore device bytes = 2147483648\nosd class load list = *\nosd class default list = *\nmon data avail crit = 1\nmon data avail warn = 2\n"
		  . "run dir = $dir/run\nadmin socket = $dir/run/\$name.asok\nlog file = $dir/log/\$name.log\npid file = $dir/run/\$name.pid\nsetuser match path = $dir/none\nkeyring = $dir/keyring\n"
		  . "[mon.a]\nmon data = $dir/mon/a\n[osd.0]\nosd data = $dir/osd/0\n[client.rgw]\nrgw frontends = beast endpoint=127.0.0.1:$self->{port}\nrgw enable apis = s3\nrgw s3 auth use sts = false\nrgw thread pool size = 16\n"
		  . "[client.sts]\nrgw frontends = beast endpoint=127.0.0.1:$self->{sts}\nrgw enable apis = s3, sts\nrgw s3 auth use sts = true\nrgw sts key = 16bytesfortests0\nrgw thread pool size = 16\n");
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
	my @c = ('-c', "$dir/ceph.conf");
	my $run = sub { system("@_ >> $dir/log/setup.log 2>&1") == 0 or die "failed: @_\n" . PostgreSQL::Test::Utils::slurp_file("$dir/log/setup.log"); };
	$run->("ceph-authtool --create-keyring $dir/keyring --gen-key -n mon. --cap mon 'allow *'");
	$run->("ceph-authtool $dir/keyring --gen-key -n $_ --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'") for 'client.admin', 'client.rgw', 'client.sts';
	$run->("monmaptool --create --addv a '[v2:127.0.0.1:$monitor,v1:127.0.0.1:$monitor1]' --fsid $fsid $dir/monmap");
	$run->("ceph-mon @c --mkfs -i a --monmap $dir/monmap --keyring $dir/keyring --no-mon-config");
	push @all, $self;
	$self->spawn("$dir/log/mon.out", 'ceph-mon', @c, '-i', 'a', '-f');
	$run->("ceph @c osd new $osd");
	$run->("ceph-osd @c -i 0 --mkfs --mkkey --no-mon-config --osd-uuid $osd");
	$run->("ceph @c auth add osd.0 osd 'allow *' mon 'allow profile osd' -i $dir/keyring");
	$run->("ceph @c osd crush add osd.0 1.0 root=default host=h0");
	$self->spawn("$dir/log/osd.out", 'ceph-osd', @c, '-i', 0, '-f');
	$self->spawn("$dir/log/rgw.out", 'radosgw', @c, '-n', 'client.rgw', '-f');
	wait_port($self->{port});
	$run->("radosgw-admin @c user create --uid=t --display-name=t --access-key=test:tester --secret=testing");
	$self->spawn("$dir/log/sts.out", 'radosgw', @c, '-n', 'client.sts', '-f');
	wait_port($self->{sts});
	my %may = (Version => '2012-10-17');
	my @policy = map { encode_json({ %may, Statement => [ { Effect => 'Allow', %$_ } ] }) } { Principal => { AWS => ['arn:aws:iam:::user/t'] }, Action => ['sts:AssumeRole'] }, { Action => ['s3:*'], Resource => ['arn:aws:s3:::*'] };
	$run->("radosgw-admin @c role create --role-name=packer --path=/ --assume-role-policy-doc='$policy[0]'");
	$run->("radosgw-admin @c role-policy put --role-name=packer --policy-name=all --policy-doc='$policy[1]'");
	die "no bucket: $_" for grep { $_ ne 200 } $self->request('PUT', '/cold');
	return $self;
}

sub with_roles { my ($self) = @_; return bless { %$self, pids => [], port => $self->{sts} }, ref $self; }

sub start {
	my ($self) = @_;
	my ($dir, $port) = @$self{qw(dir port)};
	if ($self->{upstream}) {
		$self->spawn("$dir/proxy.log", '/usr/bin/python3', "$FindBin::RealBin/../lib/fault_proxy.py", $port, $self->{upstream}{port});
	}
	elsif ($self->{kind} eq 's3') {
		# set_swift_dir() before run_wsgi(); Debian's python3, whatever stands first in PATH.
		$self->spawn("$dir/log/$_.log", '/usr/bin/python3', '-W', 'ignore', '-c', "import sys
from swift.common.utils import set_swift_dir
set_swift_dir('$dir/etc')
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi('$dir/etc/$_.conf', '$_-server'))") for qw(account container object proxy);
		wait_port($self->{ports}{$_}) for qw(account container object);
	}
	else {
		$self->spawn("$dir/azurite.log", 'node', "$NODE_MODULES/node_modules/azurite/dist/src/blob/main.js", '--blobHost', '127.0.0.1', '--blobPort', $port, '-l', $dir,
			'--silent', '--skipApiVersionCheck', '--disableTelemetry');
	}
	return wait_port($port);
}

sub stop {
	my ($self) = @_;
	for my $pid (splice @{ $self->{pids} }) {
		# Azurite would forget what it has not written yet.
		kill $self->{kind} eq 'azure' ? 'TERM' : 'KILL', $pid;
		for (1 .. 200) { last if waitpid($pid, WNOHANG) != 0; usleep(50_000); kill 'KILL', $pid if $_ == 200; }
	}
	return;
}

sub proxy {
	my ($self) = @_;
	my $proxy = bless { %$self, upstream => $self, pids => [], port => PostgreSQL::Test::Cluster::get_free_port() }, ref $self;
	push @all, $proxy;
	$proxy->start;
	return $proxy;
}
sub control {
	my ($self, $path, $body) = @_;
	my $r = HTTP::Tiny->new->request($body ? 'POST' : 'GET', "http://127.0.0.1:$self->{port}$path", $body ? { content => encode_json($body) } : {});
	die "proxy: $r->{status} $r->{content}" unless $r->{success};
	return $r->{content};
}
sub rules { my ($self, @rules) = @_; return $self->control('/_rules', \@rules); }
sub archive { my ($self, $seconds) = @_; return $self->control('/_archive', { thaw_s => $seconds }); }
sub log { my ($self) = @_; return $self->control('/_log'); }

sub url {
	my ($self, $folder, %o) = @_;
	my $names = $self->{kind} eq 's3' ? "s3://cold/$folder" : "azure://devstoreaccount1/cold/$folder";
	$o{endpoint} //= "http://127.0.0.1:$self->{port}" . ($self->{kind} eq 's3' ? '' : '/devstoreaccount1');
	return "$names?" . join '&', map { "$_=$o{$_}" } sort keys %o;
}
sub options { my ($self) = @_; return $self->{kind} eq 's3' ? "access_key_id 'test:tester', secret_access_key 'testing'" : "account_key '$AZURITE_KEY'"; }

sub named { my ($self) = @_; return "http://localhost:$self->{port}"; }

# The headers that sign a request to a service of Amazon's or of who speaks its protocol; these headers are signed too.
sub sign_v4 {
	my ($self, $service, $method, $path, $query, $body, %h) = @_;
	my $time = strftime('%Y%m%dT%H%M%SZ', gmtime);
	my $day = substr $time, 0, 8;
	%h = (%h, 'x-amz-date' => $time, 'x-amz-content-sha256' => sha256_hex($body));
	my %signed = (%h, host => "127.0.0.1:$self->{port}");
	my $names = join ';', sort keys %signed;
	my $canonical = "$method\n$path\n$query\n" . join('', map { "$_:$signed{$_}\n" } sort keys %signed) . "\n$names\n$h{'x-amz-content-sha256'}";
	my $to_sign = "AWS4-HMAC-SHA256\n$time\n$day/us-east-1/$service/aws4_request\n" . sha256_hex($canonical);
	my $key = 'AWS4testing';
	$key = hmac_sha256($_, $key) for $day, 'us-east-1', $service, 'aws4_request';
	return (%h, authorization => "AWS4-HMAC-SHA256 Credential=test:tester/$day/us-east-1/$service/aws4_request, SignedHeaders=$names, Signature=" . hmac_sha256_hex($to_sign, $key));
}

sub assume_role {
	my ($self) = @_;
	my $body = 'Action=AssumeRole&DurationSeconds=3600&RoleArn=arn%3Aaws%3Aiam%3A%3A%3Arole%2Fpacker&RoleSessionName=test&Version=2011-06-15';
	my %h = $self->sign_v4('sts', 'POST', '/', '', $body, 'content-type' => 'application/x-www-form-urlencoded');
	my $r = HTTP::Tiny->new->request('POST', "http://127.0.0.1:$self->{port}/", { headers => \%h, content => $body });
	my %got = map { $r->{content} =~ m{<$_>([^<]+)</$_>} ? ($_ => $1) : () } qw(AccessKeyId SecretAccessKey SessionToken);
	die "AssumeRole: $r->{status} $r->{content}" unless 3 == keys %got;
	return { key => $got{AccessKeyId}, secret => $got{SecretAccessKey}, token => $got{SessionToken} };
}

# A request of the test's own, signed without the extension; the status, and in list context the body too where it is asked for.
sub request {
	my ($self, $method, $path, %query) = @_;
	my $query = join '&', map { "$_=" . ($query{$_} =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger) } sort keys %query;
	my $host = "127.0.0.1:$self->{port}";
	my $body = $self->{send} // '';
	my %h;
	if ($self->{kind} eq 's3') {
		%h = $self->sign_v4('s3', $method, $path, $query, $body);
	}
	else {
		%h = ('x-ms-date' => strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime), 'x-ms-version' => '2021-12-02');
		my ($length, $type, $blob) = ('', '', '');
		if ($body ne '') {
			($length, $type, $blob) = (length $body, 'application/octet-stream', "x-ms-blob-type:BlockBlob\n");
			@h{ 'content-type', 'x-ms-blob-type' } = ($type, 'BlockBlob');
		}
		my $to_sign = "$method\n\n\n$length\n\n$type\n\n\n\n\n\n\n${blob}x-ms-date:$h{'x-ms-date'}\nx-ms-version:$h{'x-ms-version'}\n/devstoreaccount1$path" . join '', map { "\n$_:$query{$_}" } sort keys %query;
		my $signature = hmac_sha256_base64($to_sign, decode_base64($AZURITE_KEY));
		$signature .= '=' while length($signature) % 4;
		$h{authorization} = "SharedKey devstoreaccount1:$signature";
	}
	$h{'content-length'} = length $body if $method eq 'PUT';
	my $r = HTTP::Tiny->new->request($method, "http://$host$path" . ($query eq '' ? '' : "?$query"), { headers => \%h, $body eq '' ? () : (content => $body) });
	$self->{body} = $r->{content};
	return $r->{status};
}

# Stores an object, whatever was there.
sub upload {
	my ($self, $name, $file) = @_;
	local $self->{send} = PostgreSQL::Test::Utils::slurp_file($file);
	my $status = $self->request('PUT', ($self->{kind} eq 's3' ? '' : '/devstoreaccount1') . "/cold/$name");
	die "upload: $status $self->{body}" unless $status =~ /^20/;
	return;
}

# A token of the account for blobs, with these rights, for an hour.
sub sas {
	my ($self, $rights) = @_;
	my ($version, $until) = ('2020-12-06', strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 3600)));
	my $to_sign = "devstoreaccount1\n$rights\nb\nsco\n\n$until\n\nhttps,http\n$version\n\n";
	my $signature = hmac_sha256_base64($to_sign, decode_base64($AZURITE_KEY));
	$signature .= '=' while length($signature) % 4;
	my %o = (sv => $version, ss => 'b', srt => 'sco', sp => $rights, se => $until, spr => 'https,http', sig => $signature);
	return join '&', map { "$_=" . ($o{$_} =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger) } sort keys %o;
}

# Names of all objects.
sub names {
	my ($self) = @_;
	my $s3 = $self->{kind} eq 's3';
	my $status = $s3 ? $self->request('GET', '/cold', 'list-type' => 2) : $self->request('GET', '/devstoreaccount1/cold', restype => 'container', comp => 'list');
	die "list: $status $self->{body}" if $status != 200;
	return $s3 ? $self->{body} =~ m{<Key>([^<]*)}g : $self->{body} =~ m{<Name>([^<]*)}g;
}

END {
	my $rc = $?;
	$_->stop for reverse @all;
	$? = $rc;
}

1;
