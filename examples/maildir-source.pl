#!/usr/bin/env perl
# Agents that read mail, as a source for Wakedeck: Perl with what Debian installs, nothing else.
#
#   [sources.post]
#   kind = "external"
#   command = ["examples/maildir-source.pl", "/srv/agents"]
#
# /srv/agents/NAME/run         what the agent is; it lives while NAME/lock is held, which
#                              `flock NAME/lock NAME/run` does as well as the panel's wake
# /srv/agents/NAME/down        it is not wanted up (as in daemontools)
# /srv/agents/NAME/Maildir     what it has to read; flags: S done, F failed, T given up
# /srv/agents/NAME/log         what it said
use strict;
use warnings;
use B ();
use Encode qw(decode FB_DEFAULT);
use Errno qw(EINTR);
use Fcntl qw(:flock :seek F_SETFD O_CREAT O_RDONLY O_RDWR O_APPEND O_WRONLY O_NONBLOCK);
use POSIX qw(WNOHANG setsid);
use Time::HiRes qw(time sleep);

use constant { FRAME => 1 << 20, WINDOW => 262_144, INTERVAL => 5, PIECE => 16_384 };
my ($root) = @ARGV;
die "usage: maildir-source.pl FOLDER\n" unless defined $root && @ARGV == 1;

# --- msgpack: undef is nil, \1 and \0 are booleans, numbers stay numbers ---

sub pack_head { my ($length, $fix, $limit, $codes) = @_;
    return chr($fix | $length) if $length < $limit;
    return pack('CC', $codes->[0], $length) if defined $codes->[0] && $length < 256;
    return $length < 65_536 ? pack('Cn', $codes->[1], $length) : pack('CN', $codes->[2], $length);
}

sub encode { my ($value) = @_;
    return "\xc0" unless defined $value;
    if (my $kind = ref $value) {
        return $$value ? "\xc3" : "\xc2" if $kind eq 'SCALAR';
        return pack_head(scalar @$value, 0x90, 16, [undef, 0xdc, 0xdd]) . join '', map { encode($_) } @$value
            if $kind eq 'ARRAY';
        return pack_head(scalar keys %$value, 0x80, 16, [undef, 0xde, 0xdf])
            . join '', map { encode("$_") . encode($value->{$_}) } sort keys %$value;
    }
    my $flags = B::svref_2object(\$value)->FLAGS;
    if (!($flags & B::SVf_POK)) {
        return pack('Cd>', 0xcb, $value) if !($flags & B::SVf_IOK);
        return $value >= 0 && $value < 128 ? chr $value : pack('Cq>', 0xd3, $value);
    }
    utf8::encode(my $bytes = $value);
    return pack_head(length $bytes, 0xa0, 32, [0xd9, 0xda, 0xdb]) . $bytes;
}

my %number = (
    0xca => ['f>', 4], 0xcb => ['d>', 8], 0xcc => ['C', 1], 0xcd => ['n', 2], 0xce => ['N', 4],
    0xcf => ['Q>', 8], 0xd0 => ['c', 1], 0xd1 => ['s>', 2], 0xd2 => ['l>', 4], 0xd3 => ['q>', 8],
);
my %sized = (
    0xc4 => ['C', 1, 'bin'], 0xc5 => ['n', 2, 'bin'], 0xc6 => ['N', 4, 'bin'],
    0xd9 => ['C', 1, 'str'], 0xda => ['n', 2, 'str'], 0xdb => ['N', 4, 'str'],
    0xdc => ['n', 2, 'array'], 0xdd => ['N', 4, 'array'], 0xde => ['n', 2, 'map'], 0xdf => ['N', 4, 'map'],
);

sub take { my ($from, $count) = @_; return substr $$from, 0, $count, '' }

sub decode_value { my ($from) = @_;
    my $code = ord take($from, 1);
    return $code if $code < 0x80;
    return $code - 256 if $code >= 0xe0;
    return undef if $code == 0xc0;
    return $code == 0xc3 ? 1 : 0 if $code == 0xc2 || $code == 0xc3;
    if (my $how = $number{$code}) { return unpack $how->[0], take($from, $how->[1]) }
    my ($kind, $count);
    if ($code < 0x90) { ($kind, $count) = ('map', $code & 15) }
    elsif ($code < 0xa0) { ($kind, $count) = ('array', $code & 15) }
    elsif ($code < 0xc0) { ($kind, $count) = ('str', $code & 31) }
    elsif (my $how = $sized{$code}) { ($kind, $count) = ($how->[2], unpack $how->[0], take($from, $how->[1])) }
    else { die "a message has a type that is not known\n" }
    return take($from, $count) if $kind eq 'bin';
    return decode('UTF-8', take($from, $count), FB_DEFAULT) if $kind eq 'str';
    my @values = map { decode_value($from) } 1 .. $count * ($kind eq 'map' ? 2 : 1);
    return $kind eq 'map' ? {@values} : \@values;
}

sub send_message { my ($message) = @_;
    $message->{id} += 0 if defined $message->{id};    # as a key of a hash it became text
    my $payload = encode($message);
    my $frame = pack('N', length $payload) . $payload;
    while (length $frame) {
        my $sent = syswrite STDOUT, $frame;
        if (defined $sent) { substr $frame, 0, $sent, '' }
        elsif ($! != EINTR) { exit 0 }
    }
}

# --- what is there: looking changes nothing ---

sub text { return decode('UTF-8', $_[0], FB_DEFAULT) }

sub names_in { my ($folder) = @_;
    opendir my $open, $folder or return;
    return sort grep { !/^\./ } readdir $open;
}

my %flag_label = (S => 'completed', F => 'failed', T => 'cancelled');

sub mail_of { my ($folder) = @_;
    my @mail = map { { file => "$folder/Maildir/new/$_", name => $_, label => 'due' } } names_in("$folder/Maildir/new");
    for my $name (names_in("$folder/Maildir/cur")) {
        my ($flags) = $name =~ /:2,(.*)$/;
        my ($known) = grep { ($flags // '') =~ /$_/ } qw(T F S);
        push @mail, { file => "$folder/Maildir/cur/$name", name => $name, label => $known ? $flag_label{$known} : 'processing' };
    }
    s/:2,.*$// for map { $_->{name} } @mail;
    return @mail;
}

sub counts { my %count;
    $count{$_->{label}}++ for @_;
    return [map { [$_, $count{$_}] } grep { $count{$_} } qw(failed due processing completed cancelled)];
}

sub pid_if_alive { my ($folder) = @_;
    sysopen my $lock, "$folder/lock", O_RDONLY or return;
    return if flock $lock, LOCK_SH | LOCK_NB;
    my ($pid) = (readline($lock) // '') =~ /^(\d+)/;
    return $pid // '?';
}

sub judge { my ($folder, $waiting) = @_;
    return ('broken', 'Its program `run` cannot be executed.') unless -x "$folder/run" && -f _;
    my $pid = pid_if_alive($folder);
    return ('ready', '', $pid) if defined $pid;
    my $messages = $waiting == 1 ? 'one message waits' : "$waiting messages wait";
    return ('down', $waiting ? "It does not run, and $messages." : 'It does not run.') unless -e "$folder/down";
    return $waiting ? ('down', "It is switched off, and $messages.") : ('asleep', 'It is switched off, and nothing waits.');
}

my %folder_of;    # what a row is called => where it is

sub look {
    opendir my $open, $root or return (undef, text("$root cannot be read: $!."));
    my (@rows, %found);
    for my $name (sort grep { !/^\./ } readdir $open) {
        my $folder = "$root/$name";
        next unless -e "$folder/run" && length(my $id = text($name)) <= 200;
        my @mail = mail_of($folder);
        my ($state, $reason, $pid) = judge($folder, scalar grep { $_->{label} eq 'due' } @mail);
        push @rows, {
            id => $id, state => $state, reason => $reason, inbound => counts(@mail),
            asleep_by_design => $state eq 'asleep' ? \1 : \0,
            evidence => defined $pid ? [['pid', "$pid"]] : [],
        };
        $found{$id} = $folder;
    }
    %folder_of = %found;
    return (\@rows, '');
}

# --- telling it: whole once, then what changes, and now and then that nothing did ---

my ($sequence, $told_at, $told_problem, %told) = (0, 0, '');

sub push_delta { my ($full) = @_;
    my ($rows, $problem) = look();
    my $now = time;
    my %delta = (type => 'delta', source => 'post', now => $now);
    $full ||= !$sequence;
    %told = () if $full;
    my %row = map { $_->{id} => encode($_) } @{ $rows // [] };
    my @changed = grep { ($told{ $_->{id} } // '') ne $row{ $_->{id} } } @{ $rows // [] };
    my @gone = $rows ? grep { !exists $row{$_} } keys %told : ();
    return unless $full || @changed || @gone || $problem ne $told_problem || $now - $told_at >= INTERVAL;
    $delta{link} = { problem => $problem } if $problem ne $told_problem || $full;
    $delta{at} = $rows ? $now : undef;
    $delta{removed} = { sandboxes => \@gone } if @gone;
    my $first = 1;
    do {
        my @part = splice @changed, 0, 200;
        send_message({ %delta, seq => ++$sequence, sandboxes => \@part,
            $full && $first ? (full => \1) : (), @changed ? (more => \1) : () });
        delete @delta{qw(link removed)};
        $first = 0;
    } while @changed;
    ($told_at, $told_problem) = ($now, $problem);
    %told = %row if $rows;
}

# --- what is asked ---

my %calls;    # id => { pending => values to send, used => bytes under way, follow => a log }

sub failed { my ($id, $kind, $sentence, $advice) = @_;
    delete $calls{$id};
    send_message({ type => 'failed', id => $id, kind => $kind, sentence => $sentence, advice => $advice // '' });
}

sub advance { my ($call) = @_;    # within its credit
    my $pending = $call->{pending};
    follow($call) if $call->{follow} && !@$pending;
    while (@$pending && $call->{used} < WINDOW) {
        my $value = shift @$pending;
        $call->{used} += length encode($value);
        send_message({ type => 'item', id => $call->{id}, value => $value });
    }
    return if @$pending || $call->{follow};
    delete $calls{ $call->{id} };
    send_message({ type => 'done', id => $call->{id} });
}

sub follow { my ($call) = @_;
    my $log = $call->{follow};
    sysopen my $open, $log->{file}, O_RDONLY | O_NONBLOCK or return;
    my ($size, $inode) = (stat $open)[7, 1];
    @$log{qw(offset rest)} = ($size > WINDOW ? $size - WINDOW : 0, '') unless defined $log->{inode};
    @$log{qw(offset rest)} = (0, '') if defined $log->{inode} && ($log->{inode} != $inode || $size < $log->{offset});
    $log->{inode} = $inode;
    sysseek $open, $log->{offset}, SEEK_SET;
    return unless sysread $open, my $new, 65_536;
    my $begins = $log->{offset} - length $log->{rest};
    $log->{offset} += length $new;
    $log->{rest} .= $new;
    while ($log->{rest} =~ s/^([^\n]*)\n// || $log->{rest} =~ s/^(.{32000})//s) {
        push @{ $call->{pending} }, { text => text($1), key => "$inode:$begins" };
        $begins = $log->{offset} - length $log->{rest};
    }
}

sub verdict { my ($folder) = @_;
    my ($state, $reason) = judge($folder, scalar grep { $_->{label} eq 'due' } mail_of($folder));
    return { kind => 'ready', reason => '' } if $state eq 'ready';
    return { kind => 'terminal', reason => $reason, advice => 'Make `run` executable.' } if $state eq 'broken';
    return { kind => 'repairable', reason => $reason, wakeable => \1 };
}

sub preview { my ($mail) = @_;
    my ($head, $size, $at) = ('', 0, undef);
    if (open my $open, '<:raw', $mail->{file}) {
        ($size, $at) = (stat $open)[7, 9];
        read $open, $head, 4096;
    }
    my ($fields, $body) = split /\r?\n\r?\n/, text($head), 2;
    my ($subject) = $fields =~ /^Subject:[ \t]*(.*)$/mi;
    my ($from) = $fields =~ /^From:[ \t]*(.*)$/mi;
    return {
        direction => 'in', id => text($mail->{name}), label => $mail->{label}, kind => 'mail',
        text => substr($subject // $body // $fields, 0, 200), size => $size,
        defined $at ? (at => $at) : (), defined $from ? (channel => $from) : (),
    };
}

sub start_agent { my ($folder) = @_;    # the lock goes with the agent, whatever becomes of us
    sysopen my $lock, "$folder/lock", O_RDWR | O_CREAT, 0600 or return "Its lock cannot be opened: $!.";
    my $mine;
    for (1 .. 10) { last if $mine = flock $lock, LOCK_EX | LOCK_NB; sleep 0.02 }
    return unless $mine;    # it runs already
    pipe my $hear, my $say or return "It cannot be started: $!.";
    my $pid = fork // return "It cannot be started: $!.";
    if (!$pid) {
        setsid();
        fcntl $lock, F_SETFD, 0;
        truncate $lock, 0;
        syswrite $lock, "$$\n";
        sysopen my $log, "$folder/log", O_WRONLY | O_CREAT | O_APPEND, 0600;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', $log;
        open STDERR, '>&', $log;
        exec { './run' } './run' if chdir $folder;
        syswrite $say, "$!";
        POSIX::_exit(127);
    }
    close $say;
    my $trouble = readline $hear;
    return defined $trouble ? "Its program cannot be started: $trouble." : undef;
}

my %methods = (
    refresh => sub { my ($args) = @_; push_delta($args->{full}); return },
    probe => sub { return { verdict => verdict($_[1]) } },
    log_streams => sub { return { streams => [] } },
    queue => sub { my ($args, $folder) = @_;
        my @mail = mail_of($folder);
        my $counts = counts(@mail);
        my $window = $args->{window} // 50;
        @mail = sort { $a->{name} cmp $b->{name} } @mail;    # names begin with the instant
        splice @mail, 0, @mail - $window if @mail > $window;
        my @items = ({ observed_at => time, inbound => $counts, outbound => [] });
        push @items, { messages => [map { preview($_) } splice @mail, 0, 50] } while @mail;
        return @items;
    },
    content => sub { my ($args, $folder, $id) = @_;
        my ($mail) = grep { text($_->{name}) eq $args->{message} } mail_of($folder);
        open my $open, '<:raw', $mail->{file} if $mail;
        return failed($id, 'not_found', 'The message is no longer there.') unless $open;
        read $open, my $bytes, FRAME;
        return text($bytes) =~ /(.{1,${\PIECE}})/gs;
    },
    logs => sub { my ($args, $folder, $id) = @_;
        $calls{$id}{follow} = { file => "$folder/log" };
        return;
    },
    wake => sub { my ($args, $folder, $id) = @_;
        my $began = time;
        send_message({ type => 'item', id => $id, value => { step => { name => 'start', state => 'running', started_at => $began } } });
        my $trouble = start_agent($folder);
        return { step => { name => 'start', state => defined $trouble ? 'failed' : 'ok', started_at => $began,
            ended_at => time, defined $trouble ? (detail => text($trouble)) : () } };
    },
);

sub answer { my ($message) = @_;
    my ($id, $args) = ($message->{id}, $message->{args} // {});
    my $method = $methods{ $message->{method} // '' };
    return failed($id, 'unavailable', 'This source does not know what was asked.') unless $method;
    return failed($id, 'not_found', 'There is no such source.') unless ($args->{source} // '') eq 'post';
    my $folder;
    if ($message->{method} ne 'refresh') {
        look();
        $folder = $folder_of{ $args->{sandbox} // '' };
        return failed($id, 'not_found', 'There is no such agent.') unless defined $folder;
    }
    my $call = $calls{$id} = { id => $id, pending => [], used => 0 };
    @{ $call->{pending} } = $method->($args, $folder, $id);
    advance($call) if $calls{$id};
}

sub hear { my ($message) = @_;
    my $type = $message->{type} // '';
    if ($type eq 'call') { answer($message) }
    elsif ($type eq 'ping') { send_message({ type => 'pong', t => $message->{t} }) }
    elsif ($type eq 'cancel') { delete $calls{ $message->{id} } }
    elsif ($type eq 'shell.open') { failed($message->{id}, 'shell', 'These agents have no shell.') }
    elsif ($type eq 'shell.window' && (my $call = $calls{ $message->{id} })) {
        $call->{used} -= $message->{bytes};
        advance($call);
    }
}

# --- the loop ---

$SIG{CHLD} = sub { 1 while waitpid(-1, WNOHANG) > 0 };
$SIG{PIPE} = 'IGNORE';
binmode $_ for *STDIN, *STDOUT;
my $none = 'mail is all they know';
send_message({
    type => 'hello', protocol => 1, product => 'maildir-source', version => '1', pid => $$, now => time,
    sources => [{
        key => 'post', kind => 'maildir', label => 'Agents that read mail', address => text($root),
        interval_s => INTERVAL, capabilities => [qw(queue wake logs)],
        unavailable => { reconnect => 'there is no link to mend', shell => $none, exec => $none },
    }],
});
my ($heard, $next) = ('', 0);
while (1) {
    if (time >= $next) { push_delta(0); $next = time + 1 }
    advance($_) for grep { $_->{follow} } values %calls;
    vec(my $ready = '', fileno(STDIN), 1) = 1;
    my $wait = grep({ $_->{follow} } values %calls) ? 0.2 : 1;
    next if select($ready, undef, undef, $wait) <= 0;
    my $count = sysread STDIN, $heard, 65_536, length $heard;
    exit 0 if defined $count && !$count;
    while (length $heard >= 4) {
        my $length = unpack 'N', $heard;
        die "a message of $length bytes cannot be\n" if $length < 1 || $length > FRAME;
        last if length $heard < 4 + $length;
        my $payload = substr substr($heard, 0, 4 + $length, ''), 4;
        my $message = decode_value(\$payload);
        hear($message) if ref $message eq 'HASH';
    }
}
