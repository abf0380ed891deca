# Topology: cores c1 (whose announcements take 0.2 s, as if it were far away) and c2, edges e1, e2.
# Proves: a client whose home is far is copied from a nearer holder, though nothing was copied from that before; it is confirmed by its home,
# which sends nothing that is there already; what is written at the home meanwhile is not missed.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1', 'e2'], config => 'vectorshard.check_rate = 0');
$f->add_server('c2');
$f->join('c2', kind => 'core');
$f->sql('c1', q{CREATE TABLE item (client text, id int, PRIMARY KEY (client, id));
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT 'x' || c, i FROM generate_series(1, 20) c, generate_series(1, 3) i});
$f->poll('c2', q{SELECT to_regclass('item') IS NOT NULL}, 't', 'c2 has the table');
$f->sql('c2', q{INSERT INTO item SELECT 'y' || c, i FROM generate_series(1, 3) c, generate_series(1, 3) i});
$f->poll('e2', 'SELECT count(*), count(DISTINCT home) FROM vectorshard.client', '23|2', 'two homes');
$f->sql('c1', q{ALTER FUNCTION vectorshard.copy_announce(text, int, bigint, text, bigint) RENAME TO announce_near;
	CREATE FUNCTION vectorshard.copy_announce(client text, node int, generation bigint, state text, version bigint) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN PERFORM pg_sleep(0.2); RETURN vectorshard.announce_near(client, node, generation, state, version); END $$});

sub wish {
	my ($clients, $node) = @_;
	$f->sql('c1', qq{SELECT vectorshard.place(client, '$node') FROM (SELECT DISTINCT client FROM vectorshard.client WHERE client ~ '^($clients)\$') c});
	my $wished = $f->sql('c1', qq{SELECT count(*) FROM vectorshard.client WHERE client ~ '^($clients)\$'});
	return $f->poll($node, qq{SELECT count(*) FROM vectorshard.resident WHERE client ~ '^($clients)\$'}, $wished, "$clients come to $node");
}
sub path { my ($source, $column) = @_; return qq{SELECT count($column) FROM vectorshard.node_paths WHERE node = 'e2' AND source = '$source'}; }
wish('y\d', 'e2');
wish('x[123]', 'e2');
wish('x([4-9]|1\d|20)', 'e1');
$f->poll('e2', path('c1', 'setup_ms'), '1', 'e2 knows how long copies from c1 take');
$f->poll('e2', path('c2', 'setup_ms'), '1', 'and from c2');
$f->poll('e2', path('e1', 'rtt_ms'), '1', 'and how far e1 is');
is($f->sql('e2', path('e1', 'setup_ms')), '0', 'from which nothing was copied');
cmp_ok($f->sql('e2', q{SELECT vectorshard.copy_time_ms(node) FROM vectorshard.node WHERE name = 'c1'}), '>', 200, 'c1 is far');

# While x10 to x20 come, rows are written at their home.
my $first = $f->sql('c1', q{SELECT vectorshard.place(client, 'e2') FROM vectorshard.client WHERE client ~ '^x(1\d|20)$'});
for my $id (11 .. 40) {
	$f->sql('c1', "INSERT INTO item SELECT 'x' || c, $id FROM generate_series(10, 20) c");
}
$f->poll('e2', q{SELECT count(*) FROM vectorshard.resident WHERE client ~ '^x(1\d|20)$'}, '11', 'they come');
$f->poll('e2', q{SELECT vectorshard.copy_time_ms(node) IS NOT NULL FROM vectorshard.node WHERE name = 'e1'}, 't', 'from e1, which is nearer');
$f->poll('e2', q{SELECT count(*) FROM vectorshard.resident WHERE confirmed}, '17', 'and are confirmed by their home');
$f->poll('e2', q{SELECT count(*) FROM ONLY item WHERE client ~ '^x(1\d|20)$'}, '363', 'with all that was written meanwhile');

is($f->sql('c1', q{SELECT length(vectorshard.copy_export('x4', vectorshard.client_digest('x4')))}), '0', 'a home sends nothing that is there already');
is($f->sql('c1', q{SELECT length(vectorshard.copy_export('x4', vectorshard.client_digest('x5'))) > 0}), 't', 'and all of it else');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.check_fabric() WHERE client <> ''}, '0', 'every copy is equal to its home');
done_testing();
