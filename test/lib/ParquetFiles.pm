# Parquet files as somebody else writes them: DuckDB's library by itself.
#
#   write_parquet($folder, 'sales/1', 'SELECT 1 AS x', ', ROW_GROUP_SIZE 2048')     → "$folder/sales/1.parquet", which the servers can read
package ParquetFiles;
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use Exporter 'import';
our @EXPORT = ('write_parquet');

sub write_parquet {
	my ($folder, $name, $query, $options) = @_;
	my $file = "$folder/$name.parquet";
	make_path(dirname($file));
	my $statement = "COPY ($query) TO '$file' (FORMAT parquet" . ($options // '') . ')';
	system('/usr/bin/python3', dirname(__FILE__) . '/write_parquet.py', '/usr/local/lib/vectorshard/libduckdb.so', $statement) == 0 or die $name;
	chmod 0644, $file;
	return $file;
}

1;
