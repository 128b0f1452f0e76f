// SPDX-License-Identifier: Apache-2.0
import HostOS

@testable import Escort

/// A listener on host 2 that reads one connection and reports its number of bytes; perl is on every Debian.
struct Transfer {
    static let port = 5001
    let hosts: Hosts
    let output: String

    static func start(
        _ hosts: Hosts,
        to address: String,
        _ port: Int = port
    ) async throws -> Self {
        let output = hosts.folder + "/sink-\(UInt32.random(in: 0...UInt32.max))"
        try await hosts.shell(
            """
            cat > \(output).pl <<'END'
            use IO::Socket::IP; $| = 1; my $n = 0;
            my $s = IO::Socket::IP->new(LocalAddr => $ARGV[0], LocalPort => $ARGV[1], Listen => 1, ReuseAddr => 1);
            print "ready\\n"; my $c = $s->accept;
            while (my $r = sysread($c, my $b, 1 << 20)) { $n += $r }
            print "got $n\\n";
            END
            ip netns exec \(hosts.namespace(2)) perl \(output).pl \(address) \(port) > \(output) 2>&1 < /dev/null &
            """
        )
        try await hosts.eventually("the sink listens") { try await hosts.shell("cat \(output)").contains("ready") }
        return Self(hosts: hosts, output: output)
    }

    func received() async throws -> UInt64 {
        var bytes: UInt64 = 0
        try await hosts.eventually("the sink is done") {
            let words = try await hosts.shell("cat \(output)").split(whereSeparator: \.isWhitespace)
            guard words.count == 3, let count = UInt64(words[2]) else { return false }
            bytes = count
            return true
        }
        return bytes
    }
}
