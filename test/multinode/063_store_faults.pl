# Topology: core c1; stores as in 062_stores.pl, behind a proxy that does what goes wrong (test/lib/fault_proxy.py).
# Proves: moves to a store and reads from it end with equal contents through 500, 503, SlowDown, resets, short and changed bodies,
# completions that are done twice or whose answer is lost, and large objects in parts; a read of a store that hangs is cancelled within 0.6 s; what
# is denied is said at once; archives are asked for what is written, and what comes back later is the same.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my %proxy = (s3 => ObjectStores->swift(PostgreSQL::Test::Utils::tempdir)->proxy, azure => ObjectStores->azurite(PostgreSQL::Test::Utils::tempdir)->proxy);
my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\nvectorshard.store_timeout_ms = 5000\n");
$f->sql('c1', q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'car' || c, i, repeat(md5(c || '/' || i), 20) FROM generate_series(1, 2) c, generate_series(1, 50) i;
	INSERT INTO trip SELECT 'big', i, (SELECT string_agg(md5(i::text || '/' || j), '') FROM generate_series(1, 90) j) FROM generate_series(1, 8000) i;
});
sub trips { my ($client) = @_; return $f->sql('c1', "SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = '$client'"); }
sub forget_copies { unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*'; return; }
# Not the lists that the worker asks for now and then.
sub objects_read { my ($p) = @_; return scalar grep { m{^GET [^ ?]*node1/} } split /\n/, $p->log; }
sub moved {
	my ($client, $name, $what) = @_;
	my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('$client', '$name')");
	return $f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', $what, 120) || diag($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"));
}
my %truth = map { ($_ => trips($_)) } 'car1', 'car2', 'big';

my $slow_down = '<Error><Code>SlowDown</Code><Message>slow</Message></Error>';
my %writing = (
	'500 and 503' => [ { method => 'PUT', do => 'status', status => 500 }, { method => 'PUT', do => 'status', status => 503, body => $slow_down } ],
	'a lost answer' => [ { method => 'PUT', do => 'reset', late => 1, match => 'node1' } ],
	'resets' => [ { method => 'PUT', do => 'reset' }, { method => 'HEAD', do => 'reset' } ],
	'Retry-After' => [ { method => 'PUT', do => 'status', status => 503, headers => { 'Retry-After' => 1 } } ],
);
my %reading = (
	'500 and 503' => [ { method => 'GET', do => 'status', status => 500 }, { method => 'GET', do => 'status', status => 503, body => $slow_down } ],
	'a short body' => [ { method => 'GET', do => 'short' } ],
	'a reset' => [ { method => 'GET', do => 'reset' } ],
	'changed bytes' => [ { method => 'GET', do => 'corrupt' } ],
);

for my $kind ('s3', 'azure') {
	my $p = $proxy{$kind};
	my $name = "cold_$kind";
	$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('$name', '" . $p->url('') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (" . $p->options . ')');
	for my $fault (sort keys %writing) {
		$p->rules(@{ $writing{$fault} });
		moved('car1', $name, "$kind: written through $fault");
		$p->rules;
		forget_copies();
		is(trips('car1'), $truth{car1}, 'and there whole');
		$f->sql('c1', q{SELECT vectorshard.move_to_hot('car1')});
	}
	moved('car1', $name, "$kind: a client in the store");
	for my $fault (sort keys %reading) {
		forget_copies();
		$p->rules(@{ $reading{$fault} });
		is(trips('car1'), $truth{car1}, "$kind: read through $fault");
	}
	# Damage that stays is told; so is what is denied, at once.
	forget_copies();
	$p->rules({ method => 'GET', do => 'corrupt', times => 10 });
	like($f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car1'}), qr/XX001: segment object .* is damaged/, 'bytes that are always wrong');
	$p->rules({ method => 'GET', do => 'status', status => 403, times => 10 });
	like($f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car1'}), qr/28000/, 'what is denied');
	is(objects_read($p), 1, 'is not tried again');

	# Many read the same object at once: it is fetched once. Copies are bounded.
	forget_copies();
	$p->rules({ method => 'GET', do => 'delay', seconds => 1, match => 'node1' });
	my @readers = map { $f->node('c1')->background_psql('postgres') } 1 .. 4;
	for my $r (@readers) { $r->{stdin} .= "SELECT 'rows ' || count(*) FROM trip WHERE client = 'car1';\n"; $r->{run}->pump_nb; }
	ok($f->wait_for(sub { $_->{run}->pump_nb for @readers; 4 == grep { $_->{stdout} =~ /rows 50/ } @readers }, 30), "$kind: four readers at once");
	is(objects_read($p), 1, 'fetch it once');
	$_->quit for @readers;

	# A store that hangs: cancel, and a statement's time-out.
	for my $how ('cancel', 'time-out') {
		forget_copies();
		$p->rules({ do => 'hang', times => 10, seconds => 30 });
		my $session = $f->node('c1')->background_psql('postgres', on_error_stop => 0);
		my $pid = $session->query_safe('SELECT pg_backend_pid()');
		$session->query_safe(q{SET statement_timeout = '1s'}) if $how eq 'time-out';
		$session->{stdin} .= "SELECT count(*) FROM trip WHERE client = 'car1';\n";
		$session->{run}->pump_nb;
		$f->wait_for(sub { $p->log =~ /GET/ }, 10);
		ok($f->sql('c1', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid AND state = 'active'") == 1, "$kind: a read waits");
		my $since = $f->sql('c1', $how eq 'cancel' ? "SELECT extract(epoch FROM clock_timestamp()) FROM (SELECT pg_cancel_backend($pid) OFFSET 0) c"
			: "SELECT extract(epoch FROM query_start) + 1 FROM pg_stat_activity WHERE pid = $pid");
		$f->poll_until('c1', "SELECT state FROM pg_stat_activity WHERE pid = $pid", 'idle', 10);
		# Asking takes a while itself here; the server's own clock tells.
		my $took = $f->sql('c1', "SELECT extract(epoch FROM state_change) FROM pg_stat_activity WHERE pid = $pid") - $since;
		cmp_ok($took, '<', 0.6, "it ends by $how within 0.6 s") or diag($took);
		$session->quit;
	}
	$p->rules;
	forget_copies();
	is(trips('car1'), $truth{car1}, 'and is read when the store answers');
	$f->sql('c1', q{SELECT vectorshard.move_to_hot('car1')});

	# More than one part.
	my $complete = $kind eq 's3' ? { method => 'POST', match => 'uploadId' } : { method => 'PUT', match => 'comp=blocklist' };
	my $part = { method => 'PUT', match => $kind eq 's3' ? 'partNumber=2' : 'comp=block&' };
	my %large = (
		'a part that fails' => [ { %$part, do => 'status', status => 500 } ],
		'a completion whose answer is lost' => [ { %$complete, do => 'reset', late => 1 } ],
		'a completion that is done twice' => [ { %$complete, do => 'twice' } ],
		'a completion that fails first' => [ { %$complete, do => 'status', status => 503 } ],
	);
	$large{'a completion with an error inside'} = [ { %$complete, do => 'status', status => 200, body => '<Error><Code>InternalError</Code><Message>x</Message></Error>' } ] if $kind eq 's3';
	for my $fault (sort keys %large) {
		$p->rules(@{ $large{$fault} });
		moved('big', $name, "$kind: a large object, with $fault");
		like($p->log, $kind eq 's3' ? qr/partNumber=2/ : qr/comp=blocklist/, 'in parts');
		$p->rules;
		forget_copies();
		is(trips('big'), $truth{big}, 'is whole');
		$f->sql('c1', q{SELECT vectorshard.move_to_hot('big')});
	}
	# A part that never goes: the rows stay, and no upload is left.
	if ($kind eq 's3') {
		$p->rules({ %$part, do => 'status', status => 403, times => 100 });
		my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('big', '$name')");
		$f->poll('c1', "SELECT errors > 0 OR state = 'failed' FROM vectorshard.tier_moves WHERE move = $move", 't', 'a part is denied', 60);
		like($p->log, qr/DELETE [^\n]*uploadId/, 'the upload is aborted');
		is($f->sql('c1', q{SELECT count(*) FROM ONLY trip WHERE client = 'big'}), 8000, 'the rows are in the heap');
		$p->rules;
		$f->poll('c1', "SELECT state IN ('done', 'failed') FROM vectorshard.tier_moves WHERE move = $move", 't', 'the move ends', 60);
		$f->sql('c1', q{SELECT vectorshard.move_to_hot('big')});
		is(trips('big'), $truth{big}, 'and all is there');
	}

	# An archive: verified before it goes there, then it has to be asked for.
	$p->archive(4);
	my $archive = "deep_$kind";
	$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('$archive', '" . $p->url('deep', $kind eq 's3' ? (class => 'GLACIER') : (tier => 'Archive')) . "', 4); CREATE USER MAPPING FOR CURRENT_USER SERVER $archive OPTIONS (" . $p->options . ')');
	moved('car2', $archive, "$kind: a client goes to an archive");
	forget_copies();
	like($f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car2'}), qr/55000: segment object .* lies in an archive.*vectorshard\.thaw/s, 'a read says what to do');
	like($f->error_of('c1', q{SELECT vectorshard.move_to_hot('car2')}), qr/55000: segment object .* is being thawed/, 'bringing it back asks for it');
	my $segment = $f->sql('c1', q{SELECT segment FROM vectorshard.cold_client WHERE client = 'car2'});
	like($f->sql('c1', "SELECT vectorshard.thaw('$segment')"), qr/thawing|online/, 'asking twice is fine');
	$f->poll('c1', "SELECT vectorshard.thaw('$segment')", 'online', 'it thaws', 30);
	is(trips('car2'), $truth{car2}, 'and is read');
	$f->sql('c1', q{SELECT vectorshard.move_to_hot('car2')});
	is(trips('car2'), $truth{car2}, 'and comes back, the same');
}

done_testing();
