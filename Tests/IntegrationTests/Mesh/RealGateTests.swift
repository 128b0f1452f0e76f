// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Testing

@testable import Escort

extension RealMeshTests {
    /// A migration port on host 2 with a listener behind it, like that of a waiting QEMU.
    private static let port = 49152

    @Test func `the migration ports open only for the planned peer and window, and close by themselves`()
        async throws
    {
        try await Hosts.with(3) { hosts in
            let meshes = try await hosts.meshes()
            _ = try await meshes[0].establish(with: "h2")
            // Before the plan, not even a host of the mesh gets through, even in its tunnel.
            #expect(try await hosts.probe(from: 1, hosts.inner(2), Self.port) == .silence)
            #expect(try await meshes[1].gateCounters().unplanned.packets > 0)

            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(4))
            #expect(try await hosts.probe(from: 1, hosts.inner(2), Self.port) == .refusal)
            _ = try await meshes[2].establish(with: "h2")
            #expect(try await hosts.probe(from: 3, hosts.inner(2), Self.port) == .silence)
            // The port is also shut on the LAN, where the planned peer is not expected.
            #expect(try await hosts.probe(from: 1, hosts.address(2), Self.port) == .silence)

            // No agent closes it, for example because it died.
            try await hosts.eventually("it closes by itself", within: .seconds(8)) {
                try await hosts.probe(from: 1, hosts.inner(2), Self.port) == .silence
            }
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(600))
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .ipsec, window: .seconds(300))
            // The agent's periodic apply leaves the pinhole as it is.
            try await meshes[1].apply(hosts.inventory())
            #expect(try await hosts.probe(from: 1, hosts.inner(2), Self.port) == .refusal)
            // The next order's channel uses the same pinhole: a late close for the previous order leaves it open.
            try await meshes[1].openPinhole(for: OrderID("o2"), from: "h1", channel: .ipsecTLS, window: .seconds(300))
            try await meshes[1].closePinhole(of: OrderID("o1"), from: "h1", channel: .ipsec)
            #expect(try await hosts.probe(from: 1, hosts.inner(2), Self.port) == .refusal)
            try await meshes[1].closePinhole(of: OrderID("o2"), from: "h1", channel: .ipsecTLS)
            try await meshes[1].closePinhole(of: OrderID("o2"), from: "h1", channel: .ipsecTLS)
            #expect(try await hosts.probe(from: 1, hosts.inner(2), Self.port) == .silence)
        }
    }

    @Test func `a gate stays open as long as the order that needs it longest`() async throws {
        try await Hosts.with(2) { hosts in
            let mesh = try await hosts.meshes()[1]
            for (order, seconds) in [("o1", 600), ("o2", 2)] {
                let window = Duration.seconds(seconds)
                try await mesh.openPinhole(for: OrderID(order), from: "h1", channel: .tls, window: window)
            }
            try await Task.sleep(for: .seconds(4))
            #expect(try await hosts.probe(from: 1, hosts.address(2), Self.port) == .refusal)
            try await mesh.closePinhole(of: OrderID("o1"), from: "h1", channel: .tls)
            #expect(try await hosts.probe(from: 1, hosts.address(2), Self.port) == .silence)
        }
    }

    @Test func `a guest behind the planned peer's address does not pass its pinhole`() async throws {
        try await Hosts.with(3) { hosts in
            let meshes = try await hosts.meshes()
            // Host 3 stands for a guest of host 1, on a network that leaves through host 1's address.
            try await meshes[2].remove()
            try await hosts.on(1, "sysctl -qw net.ipv4.ip_forward=1")
            try await hosts.on(1, "nft add table ip guests")
            try await hosts.on(1, "nft add chain ip guests out \"{ type nat hook postrouting priority srcnat; }\"")
            try await hosts.on(1, "nft add rule ip guests out ip saddr \(hosts.address(3)) masquerade")
            try await hosts.on(3, "ip route add \(hosts.address(2)) via \(hosts.address(1))")
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .tls, window: .seconds(300))
            #expect(try await hosts.probe(from: 1, hosts.address(2), Self.port) == .refusal)
            #expect(try await hosts.probe(from: 3, hosts.address(2), Self.port) == .silence)
            #expect(try await meshes[0].gateCounters().forwarded.packets > 0)
            // Without host 1's gates it passes.
            try await hosts.on(1, "nft delete table inet evenkeel")
            #expect(try await hosts.probe(from: 3, hosts.address(2), Self.port) == .refusal)
        }
    }

    @Test func `a probe finds the gates shut, or open if there are none`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            let clock = ContinuousClock.now
            let probes = try await meshes[0].probeGates(of: "h2", at: Instant(milliseconds: 7))
            let took = (ContinuousClock.now - clock).inSeconds
            print("probing took \(took) s")
            #expect(probes.allSatisfy { (0.12...took).contains($0.seconds ?? 0) })
            #expect(probes.map(\.outcome) == [.shut, .shut] && probes.map(\.port) == [49152, 49215])
            #expect(probes.allSatisfy { $0.address == hosts.address(2) && $0.at == Instant(milliseconds: 7) })
            // Without the gate and a listener, the host's refusal shows that the gate is missing.
            try await hosts.on(2, "nft delete table inet evenkeel")
            let open = try await meshes[0].probeGates(of: "h2", at: Instant(milliseconds: 7))
            #expect(open.map(\.outcome) == [.open, .open])
        }
    }

    @Test func `a migration in the clear is dropped at either end unless ordered by name`() async throws {
        try await Hosts.with(2) { hosts in
            let meshes = try await hosts.meshes()
            // As for a move under TLS, whose stream begins with a handshake.
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .tls, window: .seconds(60))
            func received(_ beginning: String) async throws -> String {
                try await hosts.stream(beginning, from: 1, to: hosts.address(2), Self.port)
            }
            #expect(try await received("\\x16\\x03\\x01hello").contains("hello"))
            // Later bytes that look like it are accidents of the ciphertext.
            let later = try await hosts.stream(
                "\\x16\\x03\\x01hello",
                "QEVM-later",
                from: 1,
                to: hosts.address(2),
                Self.port
            )
            #expect(later.contains("hello") && later.contains("QEVM-later"))
            #expect(try await received("QEVM-memory") == "")
            #expect(try await meshes[0].gateCounters().clear.packets > 0)
            // The source's gate is gone, and the target's remains.
            try await hosts.on(1, "nft delete table inet evenkeel")
            #expect(try await received("QEVM-memory") == "")
            #expect(try await received("\\x11\\x22\\x33\\x44-parallel") == "")
            // It does not get through in pieces, either, however small the first one is.
            for (first, rest) in [("QEVM-memory", "more of it"), ("Q", "EVM-memory")] {
                #expect(try await hosts.stream(first, rest, from: 1, to: hosts.address(2), Self.port) == "")
            }
            #expect(try await meshes[1].gateCounters().clear.packets > 0)
            // Ordered by name.
            try await meshes[0].apply(hosts.inventory())
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .plain, window: .seconds(60))
            #expect(try await received("QEVM-memory") == "")
            try await meshes[0].permitClear(to: "h2", window: .seconds(60))
            #expect(try await received("QEVM-memory").contains("QEVM-memory"))
            try await meshes[0].forbidClear(to: "h2")
            #expect(try await received("QEVM-memory") == "")
        }
    }

    @Test func `a forged connection request does not affect an existing connection`() async throws {
        try await Hosts.with(3) { hosts in
            let meshes = try await hosts.meshes()
            try await meshes[1].openPinhole(for: OrderID("o1"), from: "h1", channel: .tls, window: .seconds(60))
            let source = 50000
            async let received = hosts.stream(
                "\\x16\\x03\\x01hello",
                "second",
                "third",
                from: 1,
                port: source,
                pause: 3,
                to: hosts.address(2),
                Self.port
            )
            try await hosts.eventually("it is there") {
                try await hosts.on(2, "ss -Htn state established").contains(":\(source)")
            }
            let before = try await hosts.challenges(2)
            try await hosts.forgeRequest(from: 3, as: hosts.address(1), source, to: hosts.address(2), Self.port)
            // The request reached this connection, which continued.
            try await hosts.eventually("it has come") { try await hosts.challenges(2) > before }
            #expect(try await hosts.on(2, "ss -Htn state established").contains(":\(source)"))
            #expect(try await received.contains("third"))
            #expect(try await meshes[1].gateCounters().clear.packets == 0)
        }
    }

    @Test func `a faulty mesh cuts off neither ssh nor anything else`() async throws {
        try await Hosts.with(2) { hosts in
            let mesh = try hosts.mesh(2)
            try await hosts.killCharon(2)
            await #expect(throws: EscortError.self) { try await mesh.apply(hosts.inventory()) }
            for port in [22, 80, 111, 2049, 3260, 16514, 49151, 49216] {
                #expect(try await hosts.probe(from: 1, hosts.address(2), port) == .refusal, "port \(port)")
            }
            // libvirt's unencrypted port is shut outside the tunnel.
            #expect(try await hosts.probe(from: 1, hosts.address(2), 16509) == .silence)
            #expect(try await mesh.gateCounters().libvirt.packets > 0)
        }
    }

    @Test func `the migration ports stay shut at every moment of a mesh change`() async throws {
        try await Hosts.with(3) { hosts in
            let mesh = try hosts.mesh(2)
            try await mesh.apply(hosts.inventory([1, 2]))
            let probe = Task { try await hosts.hammer(from: 1, to: hosts.address(2), Self.port, for: 4) }
            try await hosts.eventually("the knocking has begun") {
                try await mesh.gateCounters().unplanned.packets > 20
            }
            for round in 1...12 {
                try await mesh.apply(hosts.inventory(round.isMultiple(of: 2) ? [1, 2] : [1, 2, 3]))
            }
            let answers = try await probe.value
            #expect(answers.tried > 100 && answers.answered == 0, "\(answers)")
            // The connection requests themselves work: without the gate they are answered.
            try await hosts.on(2, "nft delete table inet evenkeel")
            #expect(try await hosts.hammer(from: 1, to: hosts.address(2), Self.port, for: 1).answered > 10)
        }
    }
}

// MARK: foreign traffic

extension Hosts {
    enum Answer: Equatable { case silence, refusal, connection, other(String) }

    /// The answer to one connection request within a third of a second.
    func probe(from host: Int, _ address: String, _ port: Int) async throws -> Answer {
        let answer = try await on(
            host,
            "timeout 0.35 bash -c \"exec 3<>/dev/tcp/\(address)/\(port)\" 2>&1 && echo connected || echo \"code $?\""
        )
        if answer.contains("connected") { return .connection }
        if answer.contains("refused") { return .refusal }
        return answer.contains("code 124") ? .silence : .other(answer)
    }

    /// Returns the bytes that a listener on host 2 receives when a connection sends these pieces (in Perl's notation)
    /// one after the other; empty if nothing came.
    func stream(
        _ pieces: String...,
        from host: Int,
        port source: Int = 0,
        pause: Double = 0.2,
        to address: String,
        _ port: Int
    ) async throws -> String {
        let name = "\(folder)/stream"
        let list = pieces.map { "\"\($0)\"" }.joined(separator: ", ")
        try await shell(
            """
            cat > \(name)-in.pl <<'END'
            use IO::Socket::IP; my $all = "";
            my $s = IO::Socket::IP->new(LocalAddr => $ARGV[0], LocalPort => $ARGV[1], Listen => 1, ReuseAddr => 1);
            $SIG{ALRM} = sub { print "got $all\\n" if length $all; exit 0 }; alarm 3; print "ready\\n"; $| = 1;
            my $c = $s->accept; alarm \(1 + Int(pause * Double(pieces.count))); while (sysread($c, my $b, 100)) { $all .= $b } sleep 2;
            END
            cat > \(name)-out.pl <<'END'
            use IO::Socket::IP; my $s = IO::Socket::IP->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 1,
                LocalPort => \(source), ReuseAddr => 1);
            if ($s) { for (\(list)) { syswrite($s, $_); select(undef, undef, undef, \(pause)) } sleep 1 }
            END
            rm -f \(name).got; ip netns exec \(namespace(2)) perl \(name)-in.pl \(address) \(port) > \(name).got 2>&1 &
            sleep 0.3; ip netns exec \(namespace(host)) perl \(name)-out.pl \(address) \(port); wait
            """
        )
        let got = try await shell("cat \(name).got")
        return got.contains("got ") ? String(got.split(separator: "got ", maxSplits: 1).last ?? "").trimmed : ""
    }

    /// Sends a connection request with another host's address as its source.
    func forgeRequest(
        from host: Int,
        as victim: String,
        _ source: Int,
        to address: String,
        _ port: Int
    ) async throws {
        let script = folder + "/forge.pl"
        try await shell(
            """
            cat > \(script) <<'END'
            use Socket; my ($from, $sport, $to, $dport) = @ARGV; ($from, $to) = (inet_aton($from), inet_aton($to));
            sub sum { my $n = unpack("%32n*", $_[0]); $n = ($n & 0xffff) + ($n >> 16) while $n >> 16; ~$n & 0xffff }
            sub tcp { pack("nnNNnnnn", $sport, $dport, 1, 0, 0x5002, 1024, $_[0], 0) }
            my $segment = tcp(sum($from . $to . pack("CCn", 0, 6, 20) . tcp(0)));
            # The kernel fills in the IP header's checksum and length.
            my $packet = pack("CCnnnCCna4a4", 0x45, 0, 40, 1, 0, 64, 6, 0, $from, $to) . $segment;
            socket(my $s, PF_INET, SOCK_RAW, 255) or die $!;
            send($s, $packet, 0, pack_sockaddr_in(0, $to)) or die $!;
            END
            ip netns exec \(namespace(host)) perl \(script) \(victim) \(source) \(address) \(port)
            """
        )
    }

    /// Returns how often a host's TCP was asked to begin an existing connection (RFC 5961, 4.2).
    func challenges(_ host: Int) async throws -> Int {
        let line = try await on(host, "nstat -asz TcpExtTCPSYNChallenge").split(separator: "\n").last ?? ""
        return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }, "\(line)")
    }

    /// Sends connection requests one after the other, as fast as possible; a refusal counts as an answer.
    func hammer(
        from host: Int,
        to address: String,
        _ port: Int,
        for seconds: Int
    ) async throws -> (
        tried: Int, answered: Int
    ) {
        let script = folder + "/hammer.pl"
        try await shell(
            """
            cat > \(script) <<'END'
            use Socket; use IO::Select; use Time::HiRes qw(time); my ($tried, $answered) = (0, 0); my $end = time + $ARGV[2];
            while (time < $end) {
                socket(my $s, PF_INET, SOCK_STREAM | 04000, 0); $tried++;
                connect($s, sockaddr_in($ARGV[1], inet_aton($ARGV[0])));
                $answered++ if IO::Select->new($s)->can_write(0.02); close($s);
            }
            print "$tried $answered";
            END
            """
        )
        let words = try await shell(
            "ip netns exec \(namespace(host)) perl \(script) \(address) \(port) \(seconds)"
        ).split(separator: " ").compactMap { Int($0) }
        return try (#require(words.first), #require(words.last))
    }
}
