#!/usr/bin/env perl
# Writes a database in MaxMind's format. usage: mkmmdb.pl OUT KIND < lines of "PREFIX CODE"
# A KIND is country, registered, code, lite (IPinfo Lite) or city, where a CODE is CN; asn, asn16,
# traits or text, where it is AS64500. Exits with 77 where the writer is not installed.
use strict;
use warnings;

eval { require MaxMind::DB::Writer::Tree; 1 } or exit 77;
my ($out, $kind) = @ARGV;
my %types = (country => 'map', registered_country => 'map', traits => 'map', city => 'map',
    iso_code => 'utf8_string', country_code => 'utf8_string', name => 'utf8_string',
    asn => 'utf8_string', autonomous_system_number => 'uint32');
$types{country} = 'utf8_string' if $kind eq 'lite';
$types{autonomous_system_number} = 'uint16' if $kind eq 'asn16';
my %records = (
    country => sub { { country => { iso_code => $_[0] } } },
    registered => sub { { registered_country => { iso_code => $_[0] } } },
    code => sub { { country_code => $_[0] } },
    lite => sub { { country => 'A long name', country_code => $_[0], asn => 'AS64501' } },
    city => sub { { city => { name => $_[0] } } },
    asn => sub { { autonomous_system_number => substr($_[0], 2) } },
    asn16 => sub { { autonomous_system_number => substr($_[0], 2) } },
    traits => sub { { traits => { autonomous_system_number => substr($_[0], 2) } } },
    text => sub { { asn => $_[0] } },
);
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version => 6,
    record_size => 24,
    database_type => "Test-$kind",
    languages => ['en'],
    description => { en => 'made by a test' },
    alias_ipv6_to_ipv4 => 1,          # as GeoLite2 has it: 6to4 and Teredo
    remove_reserved_networks => 0,    # documentation ranges are all that tests use
    map_key_type_callback => sub { $types{ $_[0] } },
);
while (my $line = <STDIN>) {
    my ($prefix, $code) = split ' ', $line;
    $tree->insert_network($prefix, $records{$kind}->($code));
}
open my $file, '>:raw', "$out.new" or die "$out.new: $!";
$tree->write_tree($file);
close $file or die "$out.new: $!";
rename "$out.new", $out or die "$out: $!";
