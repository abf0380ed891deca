# A session that has changed a client at its home finds its change, also where a copy of the client comes to its node just then: the copy was
# read before the change, and the stream that will bring it is behind. A writer that never stops does not keep the copy away, however long that takes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0\n");
$f->sql('c1', q{
	CREATE TABLE trip (car text, id int, n int, PRIMARY KEY (car, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'car');
	INSERT INTO trip VALUES ('small', 1, 0);
	INSERT INTO trip SELECT 'big', i, 0 FROM generate_series(1, 20000) i});
$f->poll('e1', q{SELECT count(*) FROM trip}, 20001, 'e1 knows the table');

# Changes the client again and again, and reads each change in the next transaction.
$f->sql('e1', q{CREATE PROCEDURE write_and_read(which text) LANGUAGE plpgsql AS $$
	DECLARE expected int := 0; found int;
	BEGIN
		WHILE to_regclass('enough_of_' || which) IS NULL LOOP
			BEGIN
				UPDATE trip SET n = n + 1 WHERE car = which AND id = 1 RETURNING n INTO found;
				expected := expected + 1;
				IF found <> expected THEN RAISE 'expected %, found %', expected, found; END IF;
			EXCEPTION WHEN serialization_failure THEN NULL;
			END;
			COMMIT;
			SELECT n INTO found FROM trip WHERE car = which AND id = 1;
			IF found <> expected THEN RAISE 'expected %, read %', expected, found; END IF;
			COMMIT;
		END LOOP;
		RAISE NOTICE 'wrote %', expected > 100;
	END $$});
for ([ 'small', 10 ], [ 'big', 3 ]) {
	my ($car, $rounds) = @$_;
	my $writer = Session->new($f->node('e1'));
	$writer->begin("CALL write_and_read('$car')");
	$f->poll('c1', qq{SELECT n > 20 FROM ONLY trip WHERE car = '$car' AND id = 1}, 't', "$car: a session writes at the home without a pause");
	for my $round (1 .. $rounds) {
		# The stream of the home does not mend what the copy lacks.
		my $shipper = $f->sql('c1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'});
		kill 'STOP', $shipper;
		$f->wish('e1', $car);
		$f->poll('e1', "SELECT count(*) FROM vectorshard.resident WHERE client = '$car'", 1, "$car, $round: the copy comes all the same");
		kill 'CONT', $shipper;
		ok($f->send_away('e1', $car), 'and goes again');
	}
	$f->sql('e1', "CREATE TABLE enough_of_$car ()");
	like($writer->answer, qr/NOTICE: +wrote t/, "$car: the session has always read what it had written");
	$writer->finish;
}

done_testing();
