# Topology: core c1, edge e1; an archive (the fault proxy before Swift) that takes 6 s, and says 20.
# Proves: a read of what is archived says when it could be there, and once it is asked for, when it will be; a client that is expected is asked for ahead
# by what its store takes, so that its rows are there in time.
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
	INSERT INTO trip SELECT c, i, md5(c || i) FROM unnest(ARRAY['parked', 'due']) c, generate_series(1, 50) i;
});
$f->node('c1')->psql('postgres', "SELECT vectorshard.create_store('deep', '" . $p->url('deep', class => 'GLACIER') . "', 20); CREATE USER MAPPING FOR CURRENT_USER SERVER deep OPTIONS (" . $p->options . ')');
$f->poll('e1', q{SELECT count(*) FROM vectorshard.client}, '2', 'the edge knows the clients');
for my $client ('parked', 'due') {
	my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('$client', 'deep')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$client goes to the archive");
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

done_testing();
