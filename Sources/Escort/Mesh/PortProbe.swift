// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import Glibc

/// A connection request to a port that must be closed.
enum PortProbe {
    /// Probes from this process's network namespace; `shut` if nothing came back within `patience` after the request.
    ///
    /// The time counts from the sending: on a host short of CPU, its own delay must not make a port count as shut.
    static func local(
        _ address: String,
        _ port: Int,
        _ patience: Duration
    ) async -> GateProbe.Outcome {
        await Blocking.run { probe(address, port, milliseconds: Int32(patience.inSeconds * 1000)) }
    }

    private static func probe(
        _ text: String,
        _ port: Int,
        milliseconds: Int32
    ) -> GateProbe.Outcome {
        guard let address = IPAddress(text), let port = UInt16(exactly: port) else { return .unknown }
        let family = address.family == .v4 ? AF_INET : AF_INET6
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { return .unknown }
        defer { close(descriptor) }
        let result = with(text, port, address.family) { connect(descriptor, $0, $1) }
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

    /// Calls a socket function with the address and port as a `sockaddr`.
    private static func with(
        _ text: String,
        _ port: UInt16,
        _ family: IPAddress.Family,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        switch family {
        case .v4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            inet_pton(AF_INET, text, &address.sin_addr)
            return with(address, body)
        case .v6:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            inet_pton(AF_INET6, text, &address.sin6_addr)
            return with(address, body)
        }
    }

    private static func with<Address>(
        _ address: Address,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Address>.size)) }
        }
    }
}
