// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet
internal import Glibc

/// A bulk transfer over TCP, the reference for a channel's bandwidth: one end sends zeros, the other only reads.
public enum BulkTransfer {
    private static let chunk = 1 << 20

    /// Accepts one connection, reads it to its end, and then closes it.
    ///
    /// Blocks. Calls `announce` when it accepts connections.
    public static func receive(on address: String, port: UInt16, announce: () -> Void) throws {
        let listener = try open(address, port) { bind($0, $1, $2) }
        defer { close(listener) }
        guard listen(listener, 1) == 0 else { throw failure("listen on", address, port) }
        announce()
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { throw failure("accept on", address, port) }
        defer { close(connection) }
        withUnsafeTemporaryAllocation(byteCount: chunk, alignment: 16) { buffer in
            while recv(connection, buffer.baseAddress, buffer.count, 0) > 0 {}
        }
    }

    /// Sends `bytes` bytes and returns the seconds until the other end has read them all.
    ///
    /// Blocks.
    public static func send(to address: String, port: UInt16, bytes: Int) throws -> Double {
        let connection = try open(address, port) { connect($0, $1, $2) }
        defer { close(connection) }
        let zeros = [UInt8](repeating: 0, count: chunk)
        let begin = ContinuousClock.now
        var left = bytes
        while left > 0 {
            let sent = Glibc.send(connection, zeros, min(left, chunk), Int32(MSG_NOSIGNAL))
            guard sent > 0 else { throw failure("send to", address, port) }
            left -= sent
        }
        shutdown(connection, Int32(SHUT_WR))
        var end: UInt8 = 0
        // Returns when the other end closes, after it has read the last byte.
        guard recv(connection, &end, 1, 0) == 0 else { throw failure("confirm the transfer to", address, port) }
        return (ContinuousClock.now - begin) / .seconds(1)
    }

    private static func open(
        _ address: String,
        _ port: UInt16,
        _ attach: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("open a socket for", address, port) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var peer = sockaddr_in()
        peer.sin_family = sa_family_t(AF_INET)
        peer.sin_port = port.bigEndian
        guard inet_pton(AF_INET, address, &peer.sin_addr) == 1 else {
            close(descriptor)
            throw LabError.transfer("'\(address)' is not an IPv4 address")
        }
        let failed = withUnsafePointer(to: peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                attach(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard failed == 0 else {
            let error = failure("connect to", address, port)
            close(descriptor)
            throw error
        }
        return descriptor
    }

    private static func failure(_ what: String, _ address: String, _ port: UInt16) -> LabError {
        .transfer("cannot \(what) \(address), port \(port): \(Files.reason())")
    }
}

extension HostLab {
    private static let bulkPort: UInt16 = 5201
    private static let bulkLimit: Duration = .seconds(180)

    /// Returns the bytes per second of a bulk transfer between two hosts over the channel's own path.
    ///
    /// - `ipsec` and `plain`: TCP between inner or LAN addresses
    /// - `tls` and `ipsec+tls`: OpenSSL between LAN or inner addresses, with the hosts' certificates
    /// - `ssh`: into a `cat` at the target
    /// - `sealed`: encrypted onto the shared storage and synchronised, then read and decrypted at the target
    public func bulkThroughput(
        from source: LabHost,
        to target: LabHost,
        channel: Channel,
        programs: Programs,
        bytes: Int
    ) async throws -> Double {
        switch channel {
        case .plain: try await bulkTCP(from: source, to: target, target.address, programs, bytes)
        case .ipsec: try await bulkTCP(from: source, to: target, target.innerAddress, programs, bytes)
        case .tls: try await bulkTLS(from: source, to: target, target.address, bytes)
        case .ipsecTLS: try await bulkTLS(from: source, to: target, target.innerAddress, bytes)
        case .ssh: try await bulkSSH(from: source, to: target, bytes)
        case .sealed: try await bulkThroughStorage(from: source, to: target, bytes)
        }
    }

    private func bulkTCP(
        from source: LabHost,
        to target: LabHost,
        _ address: String,
        _ programs: Programs,
        _ bytes: Int
    ) async throws -> Double {
        let words = ["stream", "--address", address, "--port", "\(Self.bulkPort)"]
        let log = target.logPath(of: "stream")
        try Files.remove(log)
        let daemon = Daemon(cgroups: cgroups, group: "\(target.name)/system")
        try await daemon.start([target.enterPath, programs.lab] + words + ["--listen"], log: log)
        try await waitUntil("the receiver on \(target.name)", within: .seconds(15), log: log) {
            ((try? Files.text(log)) ?? "").contains("listening")
        }
        let sender = Command(programs.lab, words + ["--bytes", "\(bytes)"], timeLimit: Self.bulkLimit)
        let output = try await source.run(sender)
        guard let seconds = Double(output.filter { !$0.isWhitespace }), seconds > 0 else {
            throw LabError.transfer("the sender on \(source.name) printed '\(output)' instead of seconds")
        }
        return Double(bytes) / seconds
    }

    private func bulkTLS(
        from source: LabHost,
        to target: LabHost,
        _ address: String,
        _ bytes: Int
    ) async throws -> Double {
        func identity(_ host: LabHost) -> [String] {
            let folder = host.identityFolder
            return ["-cert", "\(folder)/certificate.pem", "-key", "\(folder)/key.pem", "-CAfile", "\(folder)/ca.pem"]
        }
        let log = target.logPath(of: "openssl")
        try Files.remove(log)
        let daemon = Daemon(cgroups: cgroups, group: "\(target.name)/system")
        // openssl ends when its standard input ends.
        let sink = "sleep 180 | openssl s_server -quiet -naccept 1 -Verify 2 -verify_return_error \"$@\" | wc -c"
        try await daemon.start(
            [target.enterPath, "sh", "-c", sink, "sink", "-accept", "\(address):\(Self.bulkPort)"] + identity(target),
            log: log
        )
        // openssl prints nothing when it listens, so check its port.
        try await waitUntil("openssl on \(target.name)", within: .seconds(15), log: log) {
            try await target.run(Command("ss", ["-Hltn"])).contains(":\(Self.bulkPort)")
        }
        let pour = """
            head -c "$1" /dev/zero | (shift; exec openssl s_client -quiet -no_ign_eof -verify_return_error "$@")
            """
        let words = ["\(bytes)", "-connect", "\(address):\(Self.bulkPort)"] + identity(source)
        let rate = try await poured(pour, words, from: source, bytes)
        // An interrupted transfer is not a measurement.
        try await waitUntil("all \(bytes) bytes on \(target.name)", within: .seconds(5), log: log) {
            ((try? Files.text(log)) ?? "").split(separator: "\n").contains("\(bytes)")
        }
        return rate
    }

    private func bulkSSH(from source: LabHost, to target: LabHost, _ bytes: Int) async throws -> Double {
        let pour = "head -c \"$1\" /dev/zero | ssh -T -i \"$2\" \"root@$3\" 'cat >/dev/null'"
        return try await poured(pour, ["\(bytes)", LabSSH.loginKey, target.address], from: source, bytes)
    }

    /// Measures AES-256 in counter mode, because openssl's command lacks GCM: slightly less work than for a sealed
    /// image.
    private func bulkThroughStorage(from source: LabHost, to target: LabHost, _ bytes: Int) async throws -> Double {
        let file = "\(site.ledgerFolder)/bulk"
        defer { try? Files.remove(file) }
        let key = String(repeating: "0", count: 64)
        let cipher = "openssl enc -aes-256-ctr -K \(key) -iv \(key.prefix(32))"
        let seal = "set -o pipefail; head -c \"$1\" /dev/zero | \(cipher) | dd of=\"$2\" bs=1M conv=fsync status=none"
        let unseal = "set -o pipefail; \(cipher) -d -in \"$2\" | wc -c"
        let begin = ContinuousClock.now
        for (host, script) in [(source, seal), (target, unseal)] {
            let words = ["-c", script, "bulk", "\(bytes)", file]
            let said = try await host.run(Command("bash", words, timeLimit: Self.bulkLimit))
            guard host.name == source.name || said.filter({ !$0.isWhitespace }) == "\(bytes)" else {
                throw LabError.transfer("\(target.name) read '\(said)' instead of \(bytes) bytes from the storage")
            }
        }
        return Double(bytes) / ((ContinuousClock.now - begin) / .seconds(1))
    }

    /// Returns the bytes per second of a script that ends when all bytes have arrived.
    private func poured(_ script: String, _ words: [String], from source: LabHost, _ bytes: Int) async throws -> Double
    {
        let begin = ContinuousClock.now
        try await source.run(Command("sh", ["-c", script, "pour"] + words, timeLimit: Self.bulkLimit))
        return Double(bytes) / ((ContinuousClock.now - begin) / .seconds(1))
    }
}
