# Fabrics for multi-node tests: servers made by PostgreSQL::Test::Cluster, on TCP ports of 127.0.0.1, because nodes
# reach each other by host and port. Every server is stopped when the test ends, however it ends.
#
#   my $f = Fabric->new(core => 'c1', edges => ['e1', 'e2']);     # creates the fabric and joins the edges
#   $f->node('e1')->safe_psql('postgres', …);  $f->poll('e1', $sql, $expected);  $f->client_hash('e1', 'trip', 'car7');
package Fabric;
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my @servers;

# While a server starts or ends, psql may be gone before it was told anything: then IPC::Run dies of the broken pipe, where a moment later
# psql() would return 2, for no connection. It returns 2 in both cases, so that whoever polls goes on.
{
	no warnings 'redefine';
	my $psql = \&PostgreSQL::Test::Cluster::psql;
	*PostgreSQL::Test::Cluster::psql = sub {
		my ($node, $database, $sql, %given) = @_;
		my @answer = eval { $psql->($node, $database, $sql, %given) };
		if ($@) {
			die $@ if $given{on_error_die} || $@ !~ /Broken pipe/;
			@answer = (2, '', 'no connection: psql ended before it was told anything');
		}
		return wantarray ? @answer : $answer[0];
	};
}

# new(core => name, edges => [names], config => text, auth => 'trust' or 'scram', connect => 0 to make no fabric)
# Nodes log in at each other as `fabric`, an ordinary role; with superuser => 1 as the superuser of the server.
sub new {
	my ($class, %o) = @_;
	my $self = bless { nodes => {}, places => 0, core => $o{core}, config => $o{config} // '', auth => $o{auth} // 'trust', superuser => $o{superuser}, initdb => $o{initdb} // [] }, $class;
	for my $name ($o{core}, @{ $o{edges} // [] }) { $self->add_server($name); }
	return $self if defined $o{connect} && !$o{connect};
	$self->create($o{core});
	$self->join($_) for @{ $o{edges} // [] };
	return $self;
}

# A server with the extension, not yet in the fabric.
sub add_server {
	my ($self, $name) = @_;
	my $n = PostgreSQL::Test::Cluster->new($name);
	$n->init(extra => $self->{initdb});
	$n->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'vectorshard'
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_worker_processes = 32
listen_addresses = '127.0.0.1'
$self->{config}
CONF
	$n->start;
	push @servers, $n;
	$self->{nodes}{$name} = $n;
	$n->safe_psql('postgres', 'CREATE EXTENSION vectorshard CASCADE');
	$n->safe_psql('postgres', q{SET password_encryption = 'scram-sha-256'; CREATE ROLE fabric LOGIN PASSWORD 'right' IN ROLE vectorshard_peer});
	if ($self->{auth} eq 'scram') {
		my $hba = $n->data_dir . '/pg_hba.conf';
		my $rest = slurp_file($hba);
		open my $out, '>', $hba or die $!;
		print $out "host all fabric 127.0.0.1/32 scram-sha-256\n$rest";
		close $out;
		$n->reload;
	}
	return $n;
}

sub node { my ($self, $name) = @_; return $self->{nodes}{$name} // die "no node $name"; }
sub sql { my ($self, $name, $sql) = @_; return $self->node($name)->safe_psql('postgres', $sql); }

# A file with one key, for encrypted stores (vectorshard.store_key_file).
sub key_file {
	my $name = PostgreSQL::Test::Utils::tempdir() . '/keys';
	open my $out, '>', $name or die "$name: $!";
	print $out 'k1 ', join('', map { sprintf '%02x', $_ } 1 .. 32), "\n";
	close $out;
	chmod 0600, $name;
	return $name;
}

# The n-th place on a line of nodes, about 9 km apart.
sub place { my ($self, $n) = @_; return sprintf('ST_SetSRID(ST_MakePoint(%.2f, 37.70), 4326)', -122.50 + 0.1 * $n); }
sub next_place { my ($self) = @_; return $self->place($self->{places}++); }

sub credentials {
	my ($self, $password) = @_;
	return "user 'fabric', password '" . ($password // 'right') . "'" if $self->{auth} eq 'scram';
	my $user = $self->{superuser} ? $self->sql($self->{core}, 'SELECT current_user') : 'fabric';
	return "user '$user'";
}

# Founds the fabric on a server.
sub create {
	my ($self, $name) = @_;
	my $place = $self->next_place;
	$self->sql($name, "SELECT vectorshard.create_fabric('$name', $place)");
	my $how = $self->credentials;
	$self->sql($name, "CREATE USER MAPPING FOR CURRENT_USER SERVER fabric OPTIONS ($how)");
	return;
}

# The server object and its mapping with which `name` will reach the member `via`.
sub prepare_join {
	my ($self, $name, $via, $password) = @_;
	my $port = $self->node($via)->port;
	my $how = $self->credentials($password);
	$self->sql($name, "CREATE SERVER hub FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres')");
	$self->sql($name, "CREATE USER MAPPING FOR CURRENT_USER SERVER hub OPTIONS ($how)");
	return;
}

# Joins a server to the fabric through `via` (the core node if not given).
sub join {
	my ($self, $name, %o) = @_;
	$self->prepare_join($name, $o{via} // $self->{core});
	my $place = $self->next_place;
	my $kind = $o{kind} // 'edge';
	return $self->sql($name, "SELECT vectorshard.join_fabric('$name', 'hub', $place, kind => '$kind')");
}

# Polls until `sql` gives `expected` on node `name`; false, with what it gave last, after `timeout` seconds.
sub poll_until {
	my ($self, $name, $sql, $expected, $timeout) = @_;
	my $until = time + ($timeout // 180);
	my $got = '';
	while (time < $until) {
		my ($rc, $out, $err) = $self->node($name)->psql('postgres', $sql);
		$got = $rc ? "error: $err" : $out;
		return 1 if $got eq $expected;
		usleep(100_000);
	}
	diag("$name: $sql\n  gave '$got', expected '$expected'");
	return 0;
}

# Polls until a piece of Perl is true; false after `timeout` seconds.
sub wait_for {
	my ($self, $condition, $timeout) = @_;
	my $until = time + ($timeout // 180);
	while (time < $until) {
		return 1 if $condition->();
		usleep(100_000);
	}
	return 0;
}

# Brings a client onto a node by a wish of its own, and off it again; false, with what was found, if it does not come or go.
sub wish {
	my ($self, $name, $client) = @_;
	$self->sql($name, "INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version)
	  SELECT '$client', n, n, now() + interval '1 hour', 'test', 0 FROM vectorshard.self_node() n ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until");
	return;
}
sub bring {
	my ($self, $name, $client) = @_;
	$self->wish($name, $client);
	return $self->poll_until($name, "SELECT count(*) FROM vectorshard.resident WHERE client = '$client' AND confirmed", '1');
}
sub unwish {
	my ($self, $name, $client) = @_;
	$self->sql($name, "UPDATE vectorshard.wish SET until = now() - interval '1 s' WHERE client = '$client' AND node = vectorshard.self_node()");
	return;
}
sub send_away {
	my ($self, $name, $client) = @_;
	$self->unwish($name, $client);
	$self->node($name)->psql('postgres', "SELECT vectorshard.evict('$client')");
	return $self->poll_until($name, "SELECT count(*) FROM vectorshard.resident WHERE client = '$client'", '0');
}

# As a test.
sub poll {
	my ($self, $name, $sql, $expected, $what, $timeout) = @_;
	return ok($self->poll_until($name, $sql, $expected, $timeout), $what);
}

# A hash of all rows of a client in the local heap: equal hashes, equal rows.
sub client_hash {
	my ($self, $name, $table, $client, $column) = @_;
	$column //= 'client';
	return $self->sql($name,
		"SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")), '') "
		  . "FROM ONLY $table t WHERE $column = '$client'");
}

# kill -9 of the postmaster, then start again; its children may hold shared memory for a while.
sub kill9_and_restart {
	my ($self, $name) = @_;
	my $n = $self->node($name);
	$n->kill9;
	return $self->start_again($name);
}

sub start_again {
	my ($self, $name) = @_;
	my $n = $self->node($name);
	for my $try (1 .. 300) {
		kill_orphans($n->data_dir) if $try > 50;
		$n->{_pid} = undef;    # a failed start leaves there what the dead server's file says
		return 1 if $n->start(fail_ok => 1);
		undef $n->{_pid};    # of the server that was killed: its file is still there
		usleep(100_000);
	}
	die "$name does not start again";
}

# Where a worker is killed beside the postmaster, it may have held a lock that other processes of the server wait for without looking for the
# postmaster. They stay, and keep the server from starting until somebody terminates them, as its message asks for.
sub kill_orphans {
	my ($data_dir) = @_;
	for my $process (glob '/proc/[0-9]*') {
		my $at = readlink "$process/cwd";
		kill 'KILL', $process =~ /(\d+)$/ if defined $at && $at eq $data_dir;
	}
	return;
}

# Runs a statement that must fail; gives the whole error text.
sub error_of {
	my ($self, $name, $sql) = @_;
	my ($rc, $out, $err) = $self->node($name)->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

END {
	# The framework also stops its servers; `immediate` keeps a failed test from waiting for a stuck one.
	my $rc = $?;
	for my $n (@servers) { eval { $n->stop('immediate', fail_ok => 1) }; }
	$? = $rc;
}

1;
