# What another implementation of Parquet (test/parquet/geo.mjs) finds of GeoParquet in a file: the value of the key "geo", and which rules it breaks.
package GeoParquet;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Utils;
our @EXPORT_OK = qw(geo_of parquet_modules);

# Where the packages are; undefined without them.
sub parquet_modules {
	my $modules = $ENV{PARQUET_MODULES} // '/usr/local/lib/vectorshard/parquet/node_modules';
	return eval { run_log([ 'node', '--version' ]) } ? $modules : undef;
}

# { faults, geo, schema } of a file.
sub geo_of {
	my ($file) = @_;
	open my $node, '-|', 'node', "$FindBin::RealBin/../parquet/geo.mjs", parquet_modules(), $file or die "node: $!";
	local $/;
	my $answer = <$node>;
	close $node or die 'geo.mjs failed';
	return decode_json($answer);
}

1;
