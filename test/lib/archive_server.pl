# An object store that behaves like an archive, until standard input ends: Swift's S3 interface behind the fault proxy.
#   archive_server.pl DIRECTORY THAW_S      prints, with a tab between, the URL for create_store() and the options of the user mapping
use strict;
use warnings;
use FindBin;
my $answer;
BEGIN { open $answer, '>&', \*STDOUT or die "stdout: $!"; }    # what is loaded below takes standard output for its log
use lib $FindBin::RealBin;
use ObjectStores;

my ($dir, $thaw_s) = ($ARGV[0], 0 + $ARGV[1]);
my $archive = ObjectStores->swift($dir)->proxy;
$archive->archive($thaw_s);
print {$answer} $archive->url('demo', class => 'GLACIER'), "\t", $archive->options, "\n";
close $answer;
1 while <STDIN>;
