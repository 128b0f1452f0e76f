// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import HostOS
internal import Glibc

/// An attacker in one of the lab's network namespaces: a stranger on the LAN, or a host of the mesh other than the
/// planned source.
///
/// Every function blocks at most for its time limit, outside the cooperative pool.
public struct Attacker: Sendable {
    /// The namespace's file.
    public let namespaceFile: String

    /// The result of a TCP connection attempt.
    public enum PortState: String, Sendable, Codable {
        /// A process accepts connections.
        case open
        /// The host's TCP refuses: no process listens, and nothing filters the port.
        case closed
        /// No answer, or one from the network itself.
        case filtered
    }

    /// Tries to connect to every port, all at once, and closes each connection at once.
    public func scan(
        _ address: String,
        ports: [UInt16],
        timeLimit: Duration = .seconds(2)
    ) async throws -> [UInt16: PortState] {
        try await Blocking.run {
            let sockets = try ports.map { try connecting(to: address, port: $0) }
            let deadline = ContinuousClock.now + timeLimit
            var states: [UInt16: PortState] = [:]
            for (port, socket) in zip(ports, sockets) {
                states[port] = socket.state(until: deadline)
                socket.close()
            }
            return states
        }
    }

    /// Scans the ports repeatedly for `duration`, to connect before the source does; returns the number of connections.
    public func hammer(_ address: String, ports: [UInt16], for duration: Duration) async throws -> Int {
        let deadline = ContinuousClock.now + duration
        var reached = 0
        while ContinuousClock.now < deadline, !Task.isCancelled {
            let states = try await scan(address, ports: ports, timeLimit: .milliseconds(50))
            reached += states.values.count { $0 == .open }
            // A cancelled attack ends early and returns the connections so far.
            try? await Task.sleep(for: .milliseconds(1))
        }
        return reached
    }

    /// Connects and sends nothing while the connection is kept; `nil` if no connection was made.
    public func hold(
        _ address: String,
        port: UInt16,
        timeLimit: Duration = .seconds(2)
    ) async throws -> HeldConnection? {
        try await Blocking.run {
            let socket = try connecting(to: address, port: port)
            guard socket.state(until: .now + timeLimit) == .open else {
                socket.close()
                return nil
            }
            return HeldConnection(socket: socket)
        }
    }

    /// Connects, sends bytes and closes; returns whether they could be sent.
    public func send(
        _ bytes: [UInt8],
        to address: String,
        port: UInt16,
        timeLimit: Duration = .seconds(2)
    ) async throws -> Bool {
        guard let connection = try await hold(address, port: port, timeLimit: timeLimit) else { return false }
        let sent = connection.send(bytes)
        // Let the peer read before the connection closes, unless the attack is cancelled.
        try? await Task.sleep(for: .milliseconds(200))
        connection.close()
        return sent
    }

    /// Returns random bytes.
    public static func garbage(_ count: Int = 4096, seed: UInt64 = 1) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: mix(&state)) }
    }

    /// The beginning of QEMU's migration stream: magic, version 3, the machine's name, and a RAM section that claims an
    /// unknown block.
    public static let forgedStream: [UInt8] = {
        func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        let machine = Array("pc-q35-7.2".utf8)
        let configuration = [0x07] + word(UInt32(machine.count)) + machine
        let name = Array("ram".utf8)
        let ramSection = [0x01] + word(2) + [UInt8(name.count)] + name + word(0) + word(4)
        let block = Array("evil".utf8)
        let ram = [0, 0, 0, 0, 0x10, 0, 0, 0x04] + [UInt8(block.count)] + block + [0, 0, 0, 0, 0x10, 0, 0, 0]
        return Array("QEVM".utf8) + word(3) + configuration + ramSection + ram
    }()

    /// Opens a socket in the namespace; returns a negative number and sets `errno` if the kernel refuses.
    public func openSocket(_ family: Int32, _ type: Int32, _ number: Int32) throws -> Int32 {
        try Namespaces.inNamespace(namespaceFile) { socket(family, type, number) }
    }

    private func connecting(to address: String, port: UInt16) throws -> ConnectingSocket {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        // A socket stays in the namespace that created it.
        let descriptor = try openSocket(AF_INET, type, 0)
        guard descriptor >= 0 else {
            throw LabError.file(path: namespaceFile, reason: "cannot open a socket in it (\(Files.reason()))")
        }
        var peer = sockaddr_in()
        peer.sin_family = sa_family_t(AF_INET)
        peer.sin_port = port.bigEndian
        guard inet_pton(AF_INET, address, &peer.sin_addr) == 1 else {
            close(descriptor)
            throw LabError.file(path: namespaceFile, reason: "'\(address)' is not an IPv4 address")
        }
        let failed = withUnsafePointer(to: peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return ConnectingSocket(descriptor: descriptor, failure: failed != 0 && errno != EINPROGRESS ? errno : nil)
    }
}

/// A TCP connection attempt in progress.
struct ConnectingSocket: Sendable {
    let descriptor: Int32
    /// The error number if the attempt failed immediately.
    let failure: Int32?

    func state(until deadline: ContinuousClock.Instant) -> Attacker.PortState {
        if let failure { return failure == ECONNREFUSED ? .closed : .filtered }
        let left = max(0, (deadline - .now) / .milliseconds(1))
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&wanted, 1, Int32(left)) > 0 else { return .filtered }
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 else { return .filtered }
        return error == 0 ? .open : error == ECONNREFUSED ? .closed : .filtered
    }

    func close() { Glibc.close(descriptor) }
}

/// An open connection without traffic until `send`.
public struct HeldConnection: Sendable {
    let socket: ConnectingSocket

    /// Sends the bytes; returns whether the kernel accepted all of them.
    public func send(_ bytes: [UInt8]) -> Bool {
        Glibc.send(socket.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// Closes the connection; call it once.
    public func close() { socket.close() }
}

extension HostLab {
    /// Returns an attacker on the LAN, at 10.77.0.240, that is in no mesh.
    public func stranger() async throws -> Attacker {
        try await LabNetwork(site: site).makeStranger()
        return Attacker(namespaceFile: LabNetwork.namespaceFile(site.strangerNamespace))
    }

    /// Returns an attacker that has taken over a host of the mesh.
    public func attacker(on host: LabHost) -> Attacker {
        Attacker(namespaceFile: LabNetwork.namespaceFile(site.namespace(ofHost: host.plan.number)))
    }

    /// The ports behind the gates: QEMU's migration ports and libvirt's unencrypted one.
    ///
    /// Port 16514 is not among them: there libvirt itself requires a certificate.
    public static let gatedPorts: [UInt16] = Channel.defaultMigrationPorts.map(UInt16.init) + [16509]
}
