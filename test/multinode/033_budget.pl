# Topology: core c1 (the home of all), edges e1, e2.
# Proves: a node never holds more clients or bytes than it may, nor copies more at once, whatever is wished; what is worth most is
# held, and goes for nothing worth less; pins, and who waits, go before; a client larger than its room is not taken; the fabric's
# limit is kept; nodes tell their state and what they measured; prices are known everywhere. No row is lost by any of it.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.keep_s = 600\nvectorshard.check_rate = 0");
$f->sql('c1', q{CREATE TABLE item (client text, id int, load text, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT 'a' || c, i, 'x' FROM generate_series(1, 40) c, generate_series(1, 3) i});
# Incompressible: random hexadecimal digits.
$f->sql('c1', q{INSERT INTO item SELECT 'b' || c, 1, (SELECT string_agg(md5(c || ' ' || i), '') FROM generate_series(1, 9000) i) FROM generate_series(1, 6) c;
                INSERT INTO item SELECT 'huge', 1, (SELECT string_agg(md5('huge ' || i), '') FROM generate_series(1, 90000) i)});

sub set_on {
	my ($node, $name, $value) = @_;
	$f->sql($node, "ALTER SYSTEM SET vectorshard.$name = '$value'");
	$f->sql($node, 'SELECT pg_reload_conf()');
	return $f->poll($node, "SHOW vectorshard.$name", $value, "$node: $name is $value");
}
# Wishes as a planner writes them, with what they are worth.
sub wish {
	my ($node, $clients_and_values) = @_;
	return $f->sql('c1', qq{INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version, value)
		SELECT client, (SELECT node FROM vectorshard.node WHERE name = '$node'), vectorshard.self_node(), now() + interval '1 hour', 'test', 0, value
		  FROM ($clients_and_values) w(client, value)
		ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until, value = excluded.value});
}
my $copies = q{SELECT count(*) FROM vectorshard.resident r JOIN vectorshard.client c USING (client) WHERE c.home <> vectorshard.self_node()};
my $held = q{SELECT string_agg(client, ' ' ORDER BY client) FROM vectorshard.resident r JOIN vectorshard.client c USING (client) WHERE c.home <> vectorshard.self_node()};
# Polls as poll() does, and remembers the most that $measure ever gave.
sub poll_watching {
	my ($node, $sql, $expected, $measure, $what, $limit, $timeout) = @_;
	my $most = 0;
	my $reached = $f->wait_for(sub {
		my ($now, $got) = split /\n/, $f->sql($node, "$measure; $sql"), 2;
		$most = $now if $now > $most;
		return ($got // '') eq $expected;
	}, $timeout);
	diag("$node: " . $f->sql($node, $sql)) unless $reached;
	ok($reached, $what);
	return cmp_ok($most, '<=', $limit, "never more than $limit ($most were seen)");
}

# Copies.
set_on('e1', 'max_copies_per_node', 10);
wish('e1', q{SELECT 'a' || i, 2.0 ^ i FROM generate_series(1, 10) i});
poll_watching('e1', $copies, '10', $copies, 'a node takes what it may', 10);
wish('e1', q{SELECT 'a' || i, 2.0 ^ i FROM generate_series(11, 40) i});
poll_watching('e1', $held, join(' ', map { "a$_" } 31 .. 40), $copies, 'then the best for the least', 10);
wish('e1', q{SELECT 'a30', 2.2 * 2.0 ^ 30});
is($f->sql('e1', 'SELECT least_value = 2.0 ^ 31 FROM vectorshard.node_load WHERE node = $$e1$$'), 't', 'it tells what would go first')
  if $f->poll('e1', q{SELECT residents, queue FROM vectorshard.node_load WHERE node = 'e1'}, '10|0', 'it tells that it is full');
is($f->sql('e1', $held), join(' ', map { "a$_" } 31 .. 40), 'a little more is no reason to change');
$f->sql('c1', q{SELECT vectorshard.place('a1', 'e1')});
$f->poll('e1', $held, join(' ', 'a1', map { "a$_" } 32 .. 40), 'a pin makes room for itself');
like($f->error_of('e1', q{INSERT INTO item VALUES ('a2', 4, 'written')}), qr/55P03.*not resident yet.*another client goes for it/s, 'a writer is told to come again');
ok($f->wait_for(sub { $f->error_of('e1', q{INSERT INTO item VALUES ('a2', 4, 'written')}) =~ /^no error/ }, 20), 'and finds room');
# What comes in any case, and a limit that is lowered.
is($f->sql('e1', q{INSERT INTO item VALUES ('new', 1, 'born here'); SELECT count(*) FROM item WHERE client = 'new'}), '1', 'a client is born on a full node');
$f->poll('e1', $held, join(' ', 'a1', map { "a$_" } 32 .. 40), 'and the least valuable goes');
set_on('e1', 'max_copies_per_node', 8);
$f->poll('e1', $held, join(' ', 'a1', map { "a$_" } 34 .. 40), 'a lower limit is kept soon');
set_on('e1', 'max_copies_per_node', 10);
wish('e1', q{SELECT 'a' || i, 'Infinity'::float8 FROM generate_series(32, 40) i});
$f->poll('e1', $held, join(' ', 'a1', map { "a$_" } 32 .. 40), 'who is served is not taken for another', 90);
like($f->error_of('e1', q{SET vectorshard.insert_wait_ms = 20000; INSERT INTO item VALUES ('a3', 4, 'x')}), qr/53400.*node is full.*max_copies_per_node/s,
	'a writer who finds a full node hears why');
is($f->sql('e1', $copies), '10', 'still no more than it may');

# Bytes. Each b has 288 kB, `huge` 2.9 MB.
set_on('e2', 'max_bytes_per_node', '1MB');
my $bytes = q{SELECT coalesce(sum(pg_column_size(load)), 0) FROM ONLY item i JOIN vectorshard.client c USING (client) WHERE c.home <> vectorshard.self_node()};
wish('e2', q{SELECT 'b' || i, 2.0 ^ i FROM generate_series(1, 6) i UNION ALL SELECT 'huge', 1e9});
poll_watching('e2', q{SELECT string_agg(client, ' ' ORDER BY client) FROM vectorshard.resident WHERE client ~ '^b[56]$'}, 'b5 b6', $bytes,
	'the best are held, by bytes', 1 << 20);
$f->poll('c1', q{SELECT count(*) FROM vectorshard.node_load WHERE node = 'e2' AND bytes BETWEEN 500000 AND max_bytes AND max_bytes = 1048576}, '1',
	'bytes are told');
is($f->sql('e2', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'huge'}), '0', 'what is larger than all room is not taken');
cmp_ok($f->sql('e2', $bytes), '<=', 1 << 20, 'still no more than it may');

# Transfers at once, and the fabric's limit: 10 on e1, at least 2 on e2.
$f->sql('c1', q{UPDATE vectorshard.wish SET until = now() WHERE client ~ '^(b|huge)'});
set_on('e2', 'max_bytes_per_node', '0');
set_on('e2', 'max_transfers', 2);
set_on('e2', 'max_fabric_copies', 16);
wish('e2', q{SELECT 'a' || i, i FROM generate_series(4, 31) i});
my $fabric = q{SELECT sum(copies) FROM vectorshard.node_load};
poll_watching('e2', $fabric, '16', q{SELECT count(*) FROM vectorshard.holder h WHERE node = 3 AND state = 'copying' AND client ~ '^a'}, 'the fabric fills up to its limit', 2, 150);
$f->sql('c1', q{SELECT vectorshard.place('a32', 'e2')});
$f->poll('e2', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'a32'}, '1', 'what is asked for comes in any case');
is($f->sql('e2', $copies), '7', 'and nothing more by prediction');

# What was measured, and what is reckoned with.
$f->poll('c1', q{SELECT count(*) FROM vectorshard.node_paths WHERE node = 'e2' AND source = 'c1' AND rtt_ms > 0 AND rtt_ms < 100 AND setup_ms > 0},
	'1', 'nodes tell what they measured');
$f->sql('e1', q{SELECT vectorshard.set_price('edge', mb_hour => 30, mb_moved => 12), vectorshard.set_price('home', 1, table_name => 'item')});
$f->poll('e2', q{SELECT count(*) FROM vectorshard.price WHERE (table_name, tier, mb_hour) = ('', 'edge', 30) OR (tier, copy_hour) = ('home', 1)}, '2',
	'prices are known everywhere');
like($f->error_of('e1', q{SELECT vectorshard.set_price('edge', -1)}), qr/22023.*a price must be/s, 'no price below 0');
like($f->error_of('e1', q{SELECT vectorshard.set_price('attic')}), qr/22023.*no tier/s, 'no other tier');

is($f->sql('c1', q{SELECT count(*), count(DISTINCT client) FROM ONLY item}), '129|48', 'no row is lost');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.check_fabric() WHERE client <> ''}, '0', 'every copy is equal to its home');
done_testing();
