#!/usr/bin/env perl
# Writes a database in MaxMind's format. usage: mkmmdb.pl OUT country|asn < lines of "PREFIX CODE"
# A CODE is CN, or AS64500 with asn. Exits with 77 where the writer is not installed.
use strict;
use warnings;

eval { require MaxMind::DB::Writer::Tree; 1 } or exit 77;
my ($out, $kind) = @ARGV;
my %types = (country => 'map', iso_code => 'utf8_string', autonomous_system_number => 'uint32');
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version => 6,
    record_size => 24,
    database_type => $kind eq 'asn' ? 'Test-ASN' : 'Test-Country',
    languages => ['en'],
    description => { en => 'made by a test' },
    alias_ipv6_to_ipv4 => 1,          # as GeoLite2 has it: 6to4 and Teredo
    remove_reserved_networks => 0,    # documentation ranges are all that tests use
    map_key_type_callback => sub { $types{ $_[0] } },
);
while (my $line = <STDIN>) {
    my ($prefix, $code) = split ' ', $line;
    my $data = $kind eq 'asn' ? { autonomous_system_number => substr($code, 2) }
                              : { country => { iso_code => $code } };
    $tree->insert_network($prefix, $data);
}
open my $file, '>:raw', "$out.new" or die "$out.new: $!";
$tree->write_tree($file);
close $file or die "$out.new: $!";
rename "$out.new", $out or die "$out: $!";
