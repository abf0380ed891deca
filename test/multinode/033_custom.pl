# Topology: core c1, edges e1 and e2 side by side.
# Proves: what a predictor function says is what predict() shows and the navigator does; it has its owner's rights and may only
# read; if it fails, is slow, is missing or names what is not there, that is said, and the built-in predictor answers.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.predictor_timeout_ms = 2000\n");
$f->sql('c1', q{CREATE TABLE item (client text PRIMARY KEY);
                SELECT vectorshard.create_vector_shard_table('item', 'client');
                INSERT INTO item SELECT unnest('{bus,car,tram,cab}'::text[])});
$f->poll('e1', 'SELECT count(*) FROM vectorshard.client', '4', 'e1 knows the clients');
sub set_on_e1 {
	my ($name, $value) = @_;
	$f->sql('e1', "ALTER SYSTEM SET vectorshard.$name = $value");
	$f->sql('e1', 'SELECT pg_reload_conf()');
	$f->poll('e1', "SELECT setting FROM pg_settings WHERE name = 'vectorshard.$name'", $value =~ s/'//gr, "$name is $value");
}
sub report { return $f->sql('e1', "SELECT vectorshard.report('$_[0]', ST_SetSRID(ST_MakePoint(-122.40, 37.70), 4326), 0)"); }
sub residents { return "SELECT count(*) FROM vectorshard.resident WHERE client = '$_[0]'"; }
# What predict() says, and the first line of a warning.
sub predict {
	my ($rc, $out, $err) = $f->node('e1')->psql('postgres', "SELECT node, probability, round(eta_s), round(earliest_s) FROM vectorshard.predict('$_[0]', 60)");
	return ($out, $err =~ /(WARNING:.*)/ ? "$1" : '', $err =~ /DETAIL:\s+(.*)/ ? "$1" : '');
}
# The function's body, in plpgsql; its owner is an ordinary role.
sub body {
	$f->sql('e1', qq{CREATE OR REPLACE FUNCTION fleet.next_stop(client text, "position" geometry, speed_mps float8, heading_deg float8, horizon_s float8)
		RETURNS TABLE (node text, eta_s float8, confidence float8) LANGUAGE plpgsql AS \$\$ BEGIN $_[0] END \$\$});
	return;
}

$f->sql('e1', q{CREATE ROLE planner; CREATE SCHEMA fleet AUTHORIZATION planner; CREATE TABLE fleet.timetable (client text, node text, in_s float8);
	INSERT INTO fleet.timetable VALUES ('bus', 'e2', 15); ALTER TABLE fleet.timetable OWNER TO planner; SET ROLE planner;
	CREATE FUNCTION fleet.next_stop(client text, "position" geometry, speed_mps float8, heading_deg float8, horizon_s float8)
	RETURNS TABLE (node text, eta_s float8, confidence float8) LANGUAGE plpgsql AS 'BEGIN END'});
body(q{RETURN QUERY SELECT t.node, t.in_s, 0.75::float8 FROM fleet.timetable t WHERE t.client = next_stop.client AND public.ST_X("position") < -122 AND current_user = 'planner';});
set_on_e1('predictor_function', q{'fleet.next_stop'});
set_on_e1('predictor', 'custom');
is(report('bus'), 't', 'a bus that stands');
is(report('car'), 't', 'and a car');
$f->poll('e2', residents('bus'), '1', 'the bus is where the timetable has it next');
$f->poll('e1', residents('car'), '1', 'the car is where it is');
is($f->sql('e2', residents('car')), '0', 'and nowhere else');
like(join('|', predict('bus')), qr/^e2\|0\.75\|15\|15\|\|$/, 'predict() shows what it says');
is(join('|', predict('car')), '||', 'of the car nothing');

is($f->sql('e1', q{SELECT vectorshard.report_handover('tram')}), 't', 'a tram whose position is not known');
body(q{RETURN QUERY SELECT 'e2', 5::float8, 0.5::float8 WHERE "position" IS NULL AND speed_mps IS NOT DISTINCT FROM NULL;});
like((predict('tram'))[0], qr/^e2\|0\.5\|5\|5$/, 'is predicted too');

my $failed = qr/WARNING:  vectorshard: the predictor function failed, the built-in predictor is used: /;
body(q{RAISE 'no idea';});
like((predict('car'))[1], qr/$failed.*no idea/, 'it fails');
body(q{INSERT INTO fleet.timetable VALUES ('x');});
like((predict('car'))[1], qr/$failed.*read-only transaction/, 'it may not write');
body(q{PERFORM FROM vectorshard.motion;});
like((predict('car'))[1], qr/$failed.*permission denied/, 'it may do what its owner may');
body(q{SET ROLE postgres;});
like((predict('car'))[1], qr/$failed/, 'and not become another');
body(q{RETURN QUERY SELECT 'e9', 1::float8, 1::float8;});
is((predict('car'))[2], 'It is "e9".', 'a node that is not there');
body(q{RETURN QUERY SELECT 'e2', -1::float8, 1::float8;});
is((predict('car'))[2], 'It is -1.', 'a time in the past');
body(q{RETURN QUERY SELECT 'e2', 1::float8, 'NaN'::float8;});
is((predict('car'))[2], 'It is NaN.', 'a confidence that is none');
body(q{PERFORM pg_sleep(60);});
like($f->error_of('e1', q{SET statement_timeout = 1000; SELECT * FROM vectorshard.predict('car', 60)}), qr/57014.*statement timeout/,
	'who cancels the statement, cancels it');
set_on_e1('predictor_timeout_ms', 100);
like((predict('car'))[1], qr/$failed.*took longer than vectorshard\.predictor_timeout_ms/, 'it is slow');
is(report('cab'), 't', 'a client while it is slow');
$f->poll('e1', residents('cab'), '1', 'is placed');
like(slurp_file($f->node('e1')->logfile), qr/LOG:  vectorshard: the predictor function failed/, 'by the navigator too');
$f->sql('e1', 'DROP SCHEMA fleet CASCADE');
like((predict('car'))[1], qr/$failed.*does not exist/, 'it is missing');
set_on_e1('predictor_function', q{'next_stop'});
like((predict('car'))[1], qr/$failed.*no schema/, 'a name without a schema');
done_testing();
