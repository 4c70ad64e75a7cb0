# What the interpreter's trace runs: counts words in a hash, sorts them, matches a pattern, then reads
# 14 MiB in one call and looks at a byte of each page. (What the kernel writes is no reference.)
my %count;
my @lines;
for my $i (1 .. 400) {
    my $word = sprintf("k%d", ($i * 7919) % 211);
    $count{$word}++;
    push @lines, "$word:$i";
}
my @sorted = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
my $text = join(",", @lines);
my $matches = () = $text =~ /k(\d+):\d*7/g;
open(my $zeros, "<", "/dev/zero") or die;
sysread($zeros, my $field, 14 << 20) == 14 << 20 or die;
my $sum = 0;
for (my $i = 0; $i < length $field; $i += 4096) {
    $sum += vec($field, $i, 8);
    vec($field, $i, 8) = 1 if $i % 7 == 0;
}
print "$matches $sorted[0] $sum\n";
