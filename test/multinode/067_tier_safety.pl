# Topology: core c1, edge e1; a directory as a store, and OpenStack Swift with its S3 interface.
# Proves: objects of an encrypted store cannot be read in it, and are read by who has the key alone: a key that is missing or wrong, and
# whatever is changed in the store, gives an error that names the object, never other rows; keys turn over; no key is in a log, a plan, a
# catalog or a message.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Digest::SHA qw(sha256);
use Fabric;
use MIME::Base64;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $swift = ObjectStores->swift(PostgreSQL::Test::Utils::tempdir);
my $keys = PostgreSQL::Test::Utils::tempdir . '/keys';
my %key = map { ($_ => encode_base64(sha256($_), '')) } qw(first second wrong);
my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\n"
	. "vectorshard.store_timeout_ms = 3000\nlog_min_messages = debug1\nlog_statement = all\nvectorshard.store_key_file = '$keys'\n");
$f->sql('c1', q{
	CREATE ROLE app LOGIN;
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	GRANT SELECT ON trip TO app;
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT 'car' || c, i, repeat(md5(c || '/' || i), 20) FROM generate_series(1, 6) c, generate_series(1, 100) i;
	CREATE TABLE event (id int NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i % 300, 'Plaintext ' || repeat(md5(i::text), 8) FROM generate_series(1, 20000) i;
});
$f->poll('e1', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'the edge has the table');

sub trips { my ($node, $client, $as) = @_; return $f->sql($node, ($as ? "SET ROLE $as; " : '') . "SELECT count(*) || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = '$client'"); }
sub events { return $f->sql('c1', q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event e}); }
sub moved {
	my ($call, $what) = @_;
	my $move = $f->sql('c1', "SELECT vectorshard.$call");
	$f->poll_until('c1', "SELECT state IN ('done', 'failed', 'grace') FROM vectorshard.tier_moves WHERE move = $move", 't');
	return isnt($f->sql('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move"), 'failed', $what) || diag($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"));
}
sub spool { return glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*'; }
sub forget_copies { unlink spool(); return; }
sub write_keys { my (@ids) = @_; open my $out, '>', $keys or die $!; print $out "# keys\n", map { "$_->[0] $key{$_->[1]}\n" } @ids; close $out; chmod 0600, $keys; return; }
sub bytes { my ($name) = @_; open my $in, '<:raw', $name or die "$name: $!"; local $/ = undef; return scalar <$in>; }
sub put_bytes { my ($name, $bytes) = @_; open my $out, '>:raw', $name or die "$name: $!"; print $out $bytes; close $out; return; }
sub object_of { my ($client) = @_; return "$dir/" . $f->sql('c1', "SELECT s.object_key FROM vectorshard.segment s JOIN vectorshard.cold_client k USING (segment) WHERE k.client = '$client'"); }
my %truth = map { ($_ => trips('c1', $_)) } map { "car$_" } 1 .. 6;
my $events = events();

# Encryption: without keys nothing is made; whoever else may read the file makes it worthless.
like($f->error_of('c1', "SELECT vectorshard.create_store('vault', 'file://$dir', encrypted => true)"), qr/58030: store "vault" is encrypted, and its keys cannot be read.*No such file/s, 'no file of keys');
write_keys(['2025', 'first']);
chmod 0644, $keys;
like($f->error_of('c1', "SELECT vectorshard.create_store('vault', 'file://$dir', encrypted => true)"), qr/keys cannot be read.*others than the server may read.*0600/s, 'a file that others may read');
put_bytes($keys, "2025 $key{first}x\n");
chmod 0600, $keys;
my $err = $f->error_of('c1', "SELECT vectorshard.create_store('vault', 'file://$dir', encrypted => true)");
like($err, qr/22023: store "vault" is encrypted, and its keys cannot be read.*line 1 .*HINT/s, 'a line that is no key');
unlike($err, qr/\Q$key{first}\E/, 'which is not repeated');
write_keys(['2025', 'first']);
$f->sql('c1', "SELECT vectorshard.create_store('vault', 'file://$dir', encrypted => true)");
like($f->error_of('c1', "SELECT vectorshard.create_store('vault', 'file://$dir', encrypted => false)"), qr/42710: store "vault" exists with encryption/, 'a store does not change');
$f->sql('c1', "SELECT vectorshard.create_store('vault', 'file://$dir')");
is($f->sql('c1', q{SELECT encrypted FROM vectorshard.store WHERE store = 'vault'}), 't', 'and stays encrypted when it is not said again');
is($f->sql('c1', q{SELECT bool_and(ok) FROM vectorshard.check_store('vault')}), 't', 'check_store()');

moved("move_to_cold('car1', 'vault')", 'car1 goes to the store');
moved(q{move_to_cold('event_1'::regclass, 'vault', interval '0')}, 'and so does a partition');
my @objects = glob "$dir/node1/*.parquet";
is(scalar(@objects), 2, 'two objects');
ok(!(grep { bytes($_) =~ /PAR1|words|car1|Plaintext/ } @objects), 'which tell nothing');
is($f->sql('c1', 'SELECT bytes FROM vectorshard.segment ORDER BY 1 DESC LIMIT 1') < -s (sort { -s $b <=> -s $a } @objects)[0], 1, 'the manifest has plain sizes');
forget_copies();
is(trips('c1', 'car1', 'app'), $truth{car1}, 'a role that has no key reads');
is(trips('e1', 'car1'), $truth{car1}, 'the edge reads through the home');
is(events(), $events, 'the partition is read');
my %modes = map { (sprintf('%o', (stat $_)[2] & 07777) => 1) } grep { !/lock/ } spool();
is(join(' ', keys %modes), '600', 'copies on the node are for the server alone');

# Keys turn over: new objects take the newest, old ones keep theirs.
write_keys(['2025', 'first'], ['2026-01', 'second']);
moved("move_to_cold('car2', 'vault')", 'car2 goes with a new key');
forget_copies();
is(trips('c1', "car$_"), $truth{"car$_"}, "car$_ is read") for 1, 2;
write_keys(['2026-01', 'second']);
forget_copies();
is(trips('c1', 'car2'), $truth{car2}, 'car2 needs the new key alone');
my ($name1) = object_of('car1') =~ m{(node1/.*)};
for my $sql (q{SELECT count(*) FROM trip WHERE client = 'car1'}, q{SELECT vectorshard.move_to_hot('car1')}, q{UPDATE trip SET words = '' WHERE client = 'car1'}) {
	like($f->error_of('c1', $sql), qr/28000: segment object "\Q$name1\E" cannot be read.*encrypted with key "2025"; this node has: 2026-01.*HINT:.*store_key_file/s, "a key that is missing: $sql");
}
write_keys(['2025', 'wrong'], ['2026-01', 'second']);
like($f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car1'}), qr/XX001: segment object "\Q$name1\E" cannot be read.*"2025"/s, 'a key that is another one');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 'car1'}), '1', 'nothing came back');
write_keys(['2025', 'first'], ['2026-01', 'second']);

# Whatever is changed in the store is noticed.
my ($file1, $file2) = map { object_of($_) } 'car1', 'car2';
my ($whole1, $whole2) = map { bytes($_) } $file1, $file2;
my %damage = (
	'another object in its place' => $whole2,
	'a bit that flipped' => substr($whole1, 0, 500) . (substr($whole1, 500, 1) ^ "\x01") . substr($whole1, 501),
	'one byte less' => substr($whole1, 0, -1),
	'one byte more' => "$whole1.",
	'the frames of another object' => substr($whole1, 0, 160) . substr($whole2, 160),
	'a plain object' => 'PAR1' x 100);
for my $what (sort keys %damage) {
	put_bytes($file1, $damage{$what});
	forget_copies();
	like($f->error_of('c1', q{SELECT count(*) FROM trip WHERE client = 'car1'}), qr/XX001: segment object "\Q$name1\E" cannot be read.*DETAIL/s, $what);
}
put_bytes($file1, $whole1);
is(trips('c1', 'car1'), $truth{car1}, 'and restored it is read');

# The same in S3.
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('vault3', '" . $swift->url('v') . "', encrypted => true)");
$f->sql('c1', 'CREATE USER MAPPING FOR CURRENT_USER SERVER vault3 OPTIONS (' . $swift->options . ')');
is($f->sql('c1', q{SELECT bool_and(ok) FROM vectorshard.check_store('vault3')}), 't', 'S3: check_store()');
moved("move_to_cold('car3', 'vault3')", 'S3: car3 goes to the store');
forget_copies();
is(trips('c1', 'car3'), $truth{car3}, 'S3: it is read');
ok($f->sql('c1', q{SELECT vectorshard.move_to_hot('car3')}) eq 't' && trips('c1', 'car3') eq $truth{car3}, 'S3: and comes back');

# verify_store(): what is wrong is told, and what is right is not.
sub verify { my ($in, $deep) = @_; return $f->sql('c1', "SELECT coalesce(string_agg(coalesce(object_key, '') || '|' || coalesce(problem, ''), E'\n' ORDER BY object_key), 'well') FROM vectorshard.verify_store($in, " . ($deep ? 'true' : 'false') . ') WHERE NOT ok'); }
is($f->sql('c1', q{SELECT string_agg(store_name || ' ' || key_id, ', ' ORDER BY key_id) FROM vectorshard.verify_store('vault')}), 'vault 2025, vault 2025, vault 2026-01', 'which keys are needed');
is(verify('NULL', 1), 'well', 'all stores are well');
my $plain = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('plain', 'file://$plain')");
moved("move_to_cold('car4', 'plain')", 'car4 goes to a plain store');
moved("move_to_cold('car5', 'plain')", 'and car5');
is(verify("'plain'", 1), 'well', 'both are well');
my ($key4, $key5) = map { object_of($_) =~ m{(node1/.*)} } 'car4', 'car5';
my ($plain4, $plain5) = map { bytes("$plain/$_") } $key4, $key5;
my $middle = int(length($plain4) / 2);
for my $case (
	['nothing', undef, qr/it is not in the store/, qr/it is not in the store/],
	['a truncated object', substr($plain4, 0, -7), qr/it has \d+ bytes, the manifest says/, qr/it has \d+ bytes/],
	['a flipped byte', substr($plain4, 0, $middle) . (substr($plain4, $middle, 1) ^ "\x20") . substr($plain4, $middle + 1), qr/^well$/, qr/SHA-256 is .*, the manifest says/],
	['a foreign object of the same length', substr($plain5 . "\0" x length $plain4, 0, length $plain4), qr/^well$/, qr/SHA-256 is/]) {
	my ($what, $bytes, $shallow, $deep) = @$case;
	unlink "$plain/$key4", spool();
	put_bytes("$plain/$key4", $bytes) if defined $bytes;
	chmod 0600, "$plain/$key4";
	like(verify("'plain'"), $shallow, "$what: seen by a look, or not");
	my $found = verify("'plain'", 1);
	like($found, $deep, "$what: read, it is seen");
	like($found, qr/^\Q$key4\E\|[^\n]*$/, 'and nothing else is told');
	is(trips('c1', 'car5'), $truth{car5}, 'the other client is read');
	like($f->error_of('c1', q{SELECT vectorshard.move_to_hot('car4')}), qr/(58030|XX001): .*segment.*(DETAIL|HINT)/s, 'what is damaged does not come back');
}
unlink "$plain/$key4", spool();
put_bytes("$plain/$key4", $plain4);
is(verify('NULL', 1), 'well', 'restored, all is well');
is(trips('c1', 'car4'), $truth{car4}, 'and read');
like($f->error_of('c1', q{SELECT * FROM vectorshard.verify_store('none')}), qr/42704: store "none" does not exist/, 'a store that is not there');
like($f->error_of('c1', q{SET ROLE app; SELECT * FROM vectorshard.verify_store()}), qr/42501/, 'not for everybody');

# An archive: forgetting asks for the object, and is done when it has thawed; the new object lies in the archive again.
my $proxy = $swift->proxy;
$proxy->archive(2);
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('ice', '" . $proxy->url('ice', class => 'GLACIER') . "', thaw_s => 2, encrypted => true)");
$f->sql('c1', 'CREATE USER MAPPING FOR CURRENT_USER SERVER ice OPTIONS (' . $swift->options . ')');
my $two = $f->sql('c1', q{INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail) VALUES ('client', 'cold', 'two', 'ice', 'planned', '{"clients": ["car3", "car6"]}') RETURNING move});
$f->poll('c1', "SELECT state FROM vectorshard.tier_move WHERE move = $two", 'done', 'two clients go to an archive');
forget_copies();
like($f->error_of('c1', q{SELECT vectorshard.forget_client('car6')}), qr/55000: segment object "[^"]+" (lies in an archive|is being thawed)/, 'who lies in an archive is not forgotten before it has thawed');
$f->poll('c1', q{SELECT rows FROM vectorshard.forget_client('car6')}, '100', 'then he is');
$f->poll('c1', q{SELECT count(*) = 2 AND bool_and(done_at IS NOT NULL) FROM vectorshard.erasures WHERE client = 'car6'}, 't', 'on all nodes');
is($f->sql('c1', q{SELECT count(*) || ' ' || sum(rows) FROM vectorshard.segment WHERE store = 'ice'}), '1 100', 'his object is gone, that of the other client is new');
is(scalar(my @ice = grep { m{^ice/} } $swift->names), 1, 'and the only one');
$f->poll('c1', q{SELECT count(*) FROM (SELECT vectorshard.thaw(segment) AS state FROM vectorshard.segment WHERE store = 'ice') x WHERE state = 'online'}, '1', 'it thaws');
is(trips('c1', 'car3'), $truth{car3}, 'and is read');

# Keys are nowhere.
my $secrets = join '|', map { quotemeta } @key{qw(first second wrong)};
for my $n ('c1', 'e1') {
	unlike(slurp_file($f->node($n)->logfile), qr/$secrets/, "$n: no key in the log");
	unlike($f->sql($n, q{SELECT string_agg(t::text, ' ') FROM vectorshard.store t}) . $f->sql($n, q{EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM trip WHERE client = 'car2'}), qr/$secrets/, "$n: nor in catalog and plan");
}
like($f->error_of('c1', q{SET ROLE app; SHOW vectorshard.store_key_file}), qr/42501/, 'where they are only superusers see');

done_testing();
