// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Fleet
internal import Glibc

/// One connection request to a port that should be shut, and what comes back.
enum PortKnock {
    /// From this process's network: `shut` if nothing came back for so long, counted from when the request had been sent.
    ///
    /// A host that is short of CPU must not take its own slowness for a shut port.
    static func local(_ address: String, _ port: Int, _ patience: Duration) async -> GateProbe.Outcome {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: connect(address, port, milliseconds: Int32(patience.inSeconds * 1000)))
            }
        }
    }

    private static func connect(_ text: String, _ port: Int, milliseconds: Int32) -> GateProbe.Outcome {
        guard let address = IPAddress(text), let port = UInt16(exactly: port) else { return .unknown }
        let family = address.family == .v4 ? AF_INET : AF_INET6
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { return .unknown }
        defer { close(descriptor) }
        let result = address.family == .v4 ? connect4(descriptor, text, port) : connect6(descriptor, text, port)
        if result == 0 { return .open }
        guard errno == EINPROGRESS else { return errno == ECONNREFUSED ? .open : .unknown }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let ready = poll(&waiting, 1, milliseconds)
        if ready == 0 { return .shut }
        guard ready > 0 else { return .unknown }
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 else { return .unknown }
        return failure == 0 || failure == ECONNREFUSED ? .open : .unknown
    }

    private static func connect4(_ descriptor: Int32, _ text: String, _ port: UInt16) -> Int32 {
        var peer = sockaddr_in()
        peer.sin_family = sa_family_t(AF_INET)
        peer.sin_port = port.bigEndian
        inet_pton(AF_INET, text, &peer.sin_addr)
        return withUnsafePointer(to: peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func connect6(_ descriptor: Int32, _ text: String, _ port: UInt16) -> Int32 {
        var peer = sockaddr_in6()
        peer.sin6_family = sa_family_t(AF_INET6)
        peer.sin6_port = port.bigEndian
        inet_pton(AF_INET6, text, &peer.sin6_addr)
        return withUnsafePointer(to: peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
}
