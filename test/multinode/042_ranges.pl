# Topology: core c1 and edge e1; a reference table of 12000 rows, a client of 6000. check_rate = 0.
# Proves: a debt that is too large for one batch is paid in portions, and only the ranges of keys that differ are sent; an
# interrupted payment is carried on; tombstones come along; a row of 3 MB fits.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'],
	config => "vectorshard.keep_s = 100000\nvectorshard.check_rate = 0\nvectorshard.placement_mode = off\n");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (a text, b int, words text, PRIMARY KEY (a, b));
  SELECT vectorshard.create_reference_table('kind')});
$f->poll('e1', q{SELECT to_regclass('kind') IS NOT NULL AND to_regclass('trip') IS NOT NULL}, 't', 'e1 has the tables');
$f->sql('c1', q{INSERT INTO kind SELECT 'K' || i % 7, i, 'kind ' || i FROM generate_series(1, 12000) i});
$f->sql('e1', q{INSERT INTO trip VALUES ('big', 0, 'here')});
$f->sql('c1', q{INSERT INTO trip SELECT 'big', i, 'row ' || i FROM generate_series(1, 6000) i});
my $quiet = q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag};
$f->poll($_, $quiet, '0', "$_ owes nothing") for ('c1', 'e1');
my %count = (kind => 'SELECT count(*) || md5(string_agg(k::text, chr(10) ORDER BY a COLLATE "C", b)) FROM ONLY kind k',
	trip => q{SELECT count(*) || md5(string_agg(t::text, chr(10) ORDER BY id)) FROM ONLY trip t WHERE car = 'big'});
is($f->sql('e1', $count{$_}), $f->sql('c1', $count{$_}), "$_ is equal") for sort keys %count;

# Counts the rows that are sent: such a trigger fires for each, whether it is newer or not.
$f->sql('e1', q{CREATE SEQUENCE sent_kind; CREATE SEQUENCE sent_trip;
  CREATE FUNCTION sent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.sent_' || TG_TABLE_NAME); RETURN NEW; END $$;
  CREATE TRIGGER a_sent BEFORE INSERT ON kind FOR EACH ROW EXECUTE FUNCTION sent();
  ALTER TABLE kind ENABLE ALWAYS TRIGGER a_sent;
  CREATE TRIGGER a_sent BEFORE INSERT ON trip FOR EACH ROW EXECUTE FUNCTION sent();
  ALTER TABLE trip ENABLE ALWAYS TRIGGER a_sent});
sub plant {
	my ($sql) = @_;
	$f->sql('e1', "SET session_replication_role = replica; $sql");
	return;
}
sub owe { $f->sql('c1', "SELECT vectorshard.owe('$_[0]', '$_[1]', 2)"); return; }
sub sent {
	my ($table) = @_;
	return $f->sql('e1', "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sent_$table");
}

plant(q{DELETE FROM kind WHERE b IN (5, 6000)});
owe('', 'public.kind');
$f->poll('c1', $quiet, '0', 'paid');
is($f->sql('e1', $count{kind}), $f->sql('c1', $count{kind}), 'the reference table is mended');
my $n = sent('kind');
ok($n >= 2 && $n <= 2000, "two ranges were sent ($n rows of 12000)");

plant(q{DELETE FROM ONLY trip WHERE car = 'big' AND id IN (17, 5999)});
owe('big', '');
$f->poll('c1', $quiet, '0', 'paid');
is($f->sql('e1', $count{trip}), $f->sql('c1', $count{trip}), 'the client is mended');
$n = sent('trip');
ok($n >= 2 && $n <= 3000, "some ranges were sent ($n rows of 6001)");

# All differs, and e1 goes down on the way.
plant(q{DELETE FROM kind; DELETE FROM ONLY trip WHERE car = 'big' AND id > 100});
$f->sql('c1', q{DELETE FROM kind WHERE b = 11999; INSERT INTO kind VALUES ('large', 1, repeat('x', 3000000))});
owe('', 'public.kind');
owe('big', '');
$f->poll('e1', 'SELECT count(*) > 0 FROM kind', 't', 'the payment is under way');
$f->node('e1')->restart('immediate');
$f->poll('c1', $quiet, '0', 'paid', 90);
is($f->sql('e1', $count{$_}), $f->sql('c1', $count{$_}), "$_ is equal again") for sort keys %count;

done_testing();
