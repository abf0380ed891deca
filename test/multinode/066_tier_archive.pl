# Topology: core c1, edge e1; an archive (the fault proxy before Swift) that takes 6 s, and says 20; directories that say 0 and two hours.
# Proves: a read of what is archived says when it could be there, and once it is asked for, when it will be; a client that is expected is asked for ahead
# by what its own store takes, so that its rows are there in time, and not by what another store of its home takes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.horizon_margin_s = 1\n");
my $p = ObjectStores->swift(PostgreSQL::Test::Utils::tempdir())->proxy;
$p->archive(6);
$f->sql('c1', q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	INSERT INTO trip SELECT c, i, md5(c || i) FROM unnest(ARRAY['parked', 'due', 'near_c1', 'near_e1', 'far_c1', 'far_e1']) c, generate_series(1, 50) i;
});
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('deep', '" . $p->url('deep', class => 'GLACIER') . "', 20); CREATE USER MAPPING FOR CURRENT_USER SERVER deep OPTIONS (" . $p->options . ')');
for ([near => 0], [far => 7200]) {
	my ($name, $thaw_s) = @$_;
	$f->sql('c1', "SELECT vectorshard.create_store('$name', 'file://" . PostgreSQL::Test::Utils::tempdir() . "', $thaw_s)");
}
$f->poll('e1', q{SELECT (SELECT count(*) FROM vectorshard.client) + (SELECT count(*) FROM vectorshard.store)}, '9', 'the edge knows the clients and the stores');
for ([parked => 'deep'], [due => 'deep'], map { ["near_$_", 'near'], ["far_$_", 'far'] } 'c1', 'e1') {
	my ($client, $store) = @$_;
	my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('$client', '$store')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$client goes to the store $store");
}
# Forgets what this server has read before, the copies of both.
sub forget_copies { unlink glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*'; return; }

# When it could be there, and when it will. Placement is off: else the read itself has the client brought back, and its thaw asked for.
sub placement { my ($mode) = @_; $f->sql($_, "ALTER SYSTEM SET vectorshard.placement_mode = $mode"), $f->sql($_, 'SELECT pg_reload_conf()'), $f->poll($_, 'SHOW vectorshard.placement_mode', $mode, "placement is $mode") for 'c1', 'e1'; return; }
placement('off');
forget_copies();
my $read = q{SELECT count(*) FROM trip WHERE client = 'parked'};
my $error = $f->error_of('c1', $read);
like($error, qr/55000: segment object .* lies in an archive\nDETAIL:  The store takes about 00:00:20: until about (\d{4}-\S+ \S+) if it is asked for now/, 'a read says how long it would take');
my ($then) = $error =~ /until about (\S+ \S+) if/;
is($f->sql('c1', "SELECT timestamptz '$then' - clock_timestamp() BETWEEN '-5 min' AND '21 s'"), 't', 'from now');
my $segment = $f->sql('c1', q{SELECT segment FROM vectorshard.cold_client WHERE client = 'parked'});
is($f->sql('c1', "SELECT vectorshard.thaw('$segment')"), 'thawing', 'somebody asks for it');
my $asked = $f->sql('c1', 'SELECT clock_timestamp()');
$error = $f->error_of('c1', $read);
like($error, qr/55000: segment object .* is being thawed\nDETAIL:  The store is thawing it\. The store takes about 00:00:20: it will be there at about (\S+ \S+)\./, 'then a read says when it will be there');
my ($when) = $error =~ /there at about (\S+ \S+?)\.\s/;
is($f->sql('c1', "SELECT abs(extract(epoch FROM timestamptz '$when' - (timestamptz '$asked' + interval '20 s'))) < 5"), 't', 'by when it was asked for, not by when one looks');
$f->sql('c1', "SELECT vectorshard.thaw('$segment')");
like($f->error_of('c1', $read), qr/is being thawed.*\Q$when\E|no error/s, 'asking again does not begin anew');
$f->poll('c1', $read, '50', 'it is read once it is there');

placement('on');

# A prediction: needed on the edge in 50 s. With 20 s for the store it has to be asked for that long before, not at the last moment.
$p->rules;
my $due = $f->sql('c1', q{SELECT clock_timestamp() + interval '50 s'});
$f->sql('c1', "SELECT vectorshard.hint('due', 'e1', '$due', timestamptz '$due' + interval '1 hour')");
$f->poll('c1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'due' AND until > now()}, '1', 'a wish is made of it', 100);
is($f->sql('c1', "SELECT timestamptz '$due' - clock_timestamp() BETWEEN '8 s' AND '45 s'"), 't', 'ahead by what the store takes, and not long before');
ok($f->wait_for(sub { $p->log =~ /POST \S*restore/ }, 30), 'its thaw is asked for');
$f->poll('e1', q{SELECT count(*) FROM ONLY trip WHERE client = 'due'}, '50', 'its rows are on the edge', 100);
is($f->sql('c1', "SELECT clock_timestamp() < timestamptz '$due'"), 't', 'before they are needed');
is($f->sql('c1', q{SELECT brought_back_by FROM vectorshard.tier_moves WHERE subject = 'due' AND direction = 'hot'}), 'prediction', 'by prediction');

# Two stores in one home, whoever plans: the home, or a node that knows of it what it was told. In an hour both are needed: it is time for
# what takes two. Both are looked at together, so when one is wished the other would be.
$f->poll($_, q{SELECT string_agg(store, ' ' ORDER BY client) FROM vectorshard.holder WHERE state = 'cold' AND client ~ '^(near|far)'}, 'far far near near', "$_ knows where they lie")
  for 'c1', 'e1';
for my $node ('c1', 'e1') {
	$f->sql($node, "SELECT " . join ', ', map { "vectorshard.hint('${_}_$node', 'e1', now() + interval '1 hour', now() + interval '2 hours')" } 'near', 'far');
	$f->poll($node, "SELECT string_agg(client, ' ') FROM vectorshard.wish WHERE client ~ '(near|far)_$node' AND until > now()", "far_$node",
		"$node wishes who lies in the slow store, and nobody else");
}
$f->poll('e1', q{SELECT string_agg(DISTINCT client, ' ' ORDER BY client) FROM ONLY trip WHERE client ~ '^(near|far)'}, 'far_c1 far_e1', 'those come');
is($f->sql('c1', q{SELECT string_agg(client, ' ' ORDER BY client) FROM vectorshard.holder WHERE state = 'cold' AND client ~ '^(near|far)'}), 'near_c1 near_e1', 'the others lie in their store until they are due');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.holder WHERE state <> 'cold' AND store IS NOT NULL}), '0', 'who has come back lies in none');

done_testing();
