# Topology: core nodes c1, c2 and c3.
# Proves: a home whose question is not answered in time goes on not knowing whether it is the home, also while the node that it asked says that the
# client is just in use there, as it does while it carries that question out: no other node can be asked meanwhile, and when the first
# question is carried out after all, there is one home, and every node knows it.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\n");
$f->add_server($_) for 'c2', 'c3';
$f->join($_, kind => 'core') for 'c2', 'c3';
$f->sql('c1', q{CREATE TABLE trip (car text, id int, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car'); INSERT INTO trip VALUES ('a', 1)});
$f->poll('c2', q{SELECT count(*) FROM vectorshard.client}, '1', 'c2 knows the client');
ok($f->bring('c2', 'a'), 'and holds it');

# c2 cannot write the row that makes it the home.
my $lock = Session->new($f->node('c2'));
$lock->ask('BEGIN');
$lock->ask(q{SELECT FROM vectorshard.client WHERE client = 'a' FOR UPDATE});
$f->sql('c1', q{SELECT vectorshard.move_home('a', 'c2')});
$f->poll('c2', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%become_home%' AND wait_event_type = 'Lock'}, '1', 'c2 is asked, and cannot answer');
$f->poll('c1', q{SELECT last_error FROM vectorshard.home_move}, 'the node answers "leaving"', 'asked again it says that the client is in use', 60);
is($f->sql('c1', q{SELECT asked FROM vectorshard.home_move}), 't', 'that is no answer to the first question');
like($f->error_of('c1', q{SELECT vectorshard.move_home('a', 'c3')}), qr/55006: home of client "a" is just moving/, 'no other node is asked');
$lock->ask('COMMIT');
$f->poll($_, q{SELECT home, epoch FROM vectorshard.client}, '2|2', "$_: c2 is the home") for 'c1', 'c2', 'c3';
$f->poll('c1', q{SELECT count(*) FROM vectorshard.home_move}, '0', 'c1 has nothing to ask any more');
is($f->sql($_, q{SELECT count(*) FROM trip}), '1', "$_ reads the row once") for 'c1', 'c2', 'c3';
$lock->finish;
done_testing();
