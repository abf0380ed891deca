# Topology: core c1 and edge e1. check_rate = 0.
# Proves: rows that are merged, sent as a debt, copied or compared while an ALTER TABLE is about to commit are those of the
# table as it is then: a row that waits for the lock is not written with the columns of before, and a table that was
# rewritten meanwhile does not pass for an empty one. The shipper outlives that what it knows of a table goes while it waits for its lock.
use strict;
use warnings;
use Fabric;
use Test::More;

# The servers' C library overwrites memory that is freed: who reads it finds nothing that looks right.
$ENV{MALLOC_PERTURB_} = 165;
my $f = Fabric->new(core => 'c1', edges => ['e1'],
	config => "vectorshard.keep_s = 100000\nvectorshard.check_rate = 0\nvectorshard.placement_mode = off\n");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE stop (car text, id int, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('stop', 'car')});
$f->poll('e1', q{SELECT count(*) FROM pg_tables WHERE tablename IN ('trip', 'stop')}, '2', 'the edge has the tables');
$f->sql('c1', q{INSERT INTO trip SELECT 'car' || c, i, 'as it was' FROM generate_series(1, 3) c, generate_series(1, 20) i});
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 0, 'e1')});
my $quiet = q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag};
my $rows = q{SELECT count(*) || ' ' || md5(string_agg(to_jsonb(t)::text, ' ' ORDER BY id)) FROM ONLY trip t WHERE car = 'car1'};

sub same {
	my ($what) = @_;
	$f->poll($_, $quiet, '0', "$what: $_ owes nothing") for 'c1', 'e1';
	return is($f->sql('e1', $rows), $f->sql('c1', $rows), "$what: both have the same rows");
}
same('before');

# Runs $work while an ALTER TABLE on $node is open; then, when somebody of the fabric waits for the table, commits it.
sub during {
	my ($node, $alter, $what, $work) = @_;
	my $session = $f->node($node)->background_psql('postgres');
	$session->query_safe("BEGIN; $alter");
	$work->();
	$f->poll($node, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'trip'::regclass}, 't', "$what: it waits for the table");
	$session->query_safe('COMMIT');
	$session->quit;
	return;
}
my $rewrite = 'ALTER TABLE trip ALTER COLUMN note TYPE varchar(40); ALTER TABLE trip ALTER COLUMN note TYPE text';

# A row is merged, insert and update, where a column is being added.
during('e1', q{ALTER TABLE trip ADD COLUMN k int DEFAULT 7}, 'merge',
	sub { $f->sql('c1', q{INSERT INTO trip VALUES ('car1', 21, 'new'); UPDATE trip SET note = 'newer' WHERE car = 'car1' AND id = 1}) });
$f->poll('c1', q{SELECT paused::text FROM vectorshard.ship_lag}, '{public.trip}', 'merge: the row is not taken without the column');
$f->sql('c1', q{ALTER TABLE trip ADD COLUMN k int DEFAULT 7});
same('merge');
is($f->sql('e1', q{SELECT string_agg(DISTINCT k::text, ' ') FROM ONLY trip WHERE car = 'car1'}), '7', 'merge: every row has the default');

# A debt is paid out of a table that is being rewritten.
my $e1 = $f->sql('c1', q{SELECT node FROM vectorshard.node WHERE name = 'e1'});
$f->sql('e1', q{SET session_replication_role = replica; DELETE FROM ONLY trip WHERE car = 'car1' AND id > 5});
during('c1', $rewrite, 'debt', sub { $f->sql('c1', "INSERT INTO vectorshard.peer_debt (peer, client, table_name) VALUES ($e1, 'car1', ''); INSERT INTO stop VALUES ('car1', 1)") });
same('debt');

# A client is copied out of a table that is being rewritten.
my $writer = $f->node('e1')->background_psql('postgres');
during('c1', $rewrite, 'copy', sub { $writer->query_until(qr/begun/, "\\echo begun\nINSERT INTO trip VALUES ('car2', 200, 'e1');\n") });
$writer->query_safe('SELECT 1');
$writer->quit;
is($f->sql('e1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car2'}), '21', 'copy: it brought all rows');

# A digest is never that of a table that only seems to be empty.
my $reader = $f->node('c1')->background_psql('postgres', on_error_stop => 0);
during('c1', $rewrite, 'digest', sub { $reader->query_until(qr/begun/, "\\echo begun\nSELECT vectorshard.client_digest('car1');\n") });
$reader->query('SELECT 1');
like($reader->{stderr}, qr/table public.trip was altered meanwhile/, 'digest: it says so');
$reader->quit;

# A change whose large value is not in it is read after a column of its key got another name.
$f->sql($_, 'ALTER TABLE trip ADD COLUMN big text; ALTER TABLE trip ALTER COLUMN big SET STORAGE EXTERNAL') for 'c1', 'e1';
$f->sql('c1', q{UPDATE trip SET big = repeat(id::text || ' ', 5000) WHERE car = 'car1'});
same('large values');
my @stopped;
END { kill 'CONT', @stopped if @stopped; }
for my $alter ('RENAME COLUMN id TO number', 'RENAME COLUMN number TO id') {
	@stopped = split /\n/, $f->sql('c1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
	kill 'STOP', @stopped;
	$f->sql('c1', "UPDATE trip SET note = 'before $alter' WHERE car = 'car1'; ALTER TABLE trip $alter");
	$f->sql('e1', "ALTER TABLE trip $alter");
	kill 'CONT', splice @stopped;
	$f->poll('e1', "SELECT count(*) FROM ONLY trip WHERE car = 'car1' AND note <> 'before $alter'", '0', "$alter: every change arrives");
}
same('large values again');

# The same where the shipper waits for an ALTER TABLE, and hears what it changed while it holds what it knew of the table. The ALTER TABLE waits for the writer, so
# it has the table before the shipper asks for it.
my $shipper = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper' ORDER BY pid};
my $waiting = q{SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND l.relation = 'trip'::regclass AND a.backend_type = '%s'};
my $before = $f->sql('c1', $shipper);
for my $alter (q{SET DEFAULT 'none'}, 'DROP DEFAULT') {
	(my $note = $alter) =~ s/'//g;
	my ($write, $define) = map { $f->node('c1')->background_psql('postgres') } 1, 2;
	$write->query_safe("BEGIN; UPDATE trip SET note = 'before $note' WHERE car = 'car1'");
	$define->query_until(qr/begun/, "\\echo begun\nBEGIN; ALTER TABLE trip ALTER COLUMN note $alter;\n");
	$f->poll('c1', sprintf($waiting, 'client backend'), 't', "$alter: it waits for the writer");
	$write->query_safe('COMMIT');
	$f->poll('c1', sprintf($waiting, 'vectorshard shipper'), 't', "$alter: the shipper waits for it");
	$define->query_safe('COMMIT');
	$_->quit for $write, $define;
	$f->poll('e1', "SELECT count(*) FROM ONLY trip WHERE car = 'car1' AND note <> 'before $note'", '0', "$alter: every change arrives");
	same($alter);
}
is($f->sql('c1', $shipper), $before, 'by the same shipper');

done_testing();
