// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The reasons why an address cannot be probed.
enum ProbeError: Error, CustomStringConvertible {
    case unknownAddress(String)
    case notAllowed(reason: String)
    case cannotSend(address: String, reason: String)

    var description: String {
        switch self {
        case .unknownAddress(let address): "cannot resolve '\(address)': give an IPv4 or IPv6 address or a host name"
        case .notAllowed(let reason):
            "cannot send echo requests: \(reason). Run as root, or allow your group to ping "
                + "(sysctl net.ipv4.ping_group_range)"
        case .cannotSend(let address, let reason): "cannot send to \(address): \(reason)"
        }
    }
}

/// An ICMP echo socket for one address.
///
/// A raw socket if permitted, otherwise the kernel's ping socket.
struct EchoSocket: Sendable {
    let descriptor: Int32
    let family: EchoMessage.Family
    let isRaw: Bool
    private let peer: [UInt8]
    private let cookie: UInt64
    private let identifier: UInt16
    private let address: String

    /// `makeSocket` receives family, type and protocol; the lab's prober creates it in another network namespace.
    init(
        to address: String,
        makeSocket: (Int32, Int32, Int32) throws -> Int32 = { socket($0, $1, $2) }
    ) throws {
        self.address = address
        let (family, peer) = try Self.resolve(address)
        self.peer = peer
        self.family = family == AF_INET ? .v4 : .v6
        let icmp = family == AF_INET ? Int32(IPPROTO_ICMP) : Int32(IPPROTO_ICMPV6)
        var descriptor = try makeSocket(family, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), icmp)
        isRaw = descriptor >= 0
        if descriptor < 0 {
            descriptor = try makeSocket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), icmp)
        }
        guard descriptor >= 0 else { throw ProbeError.notAllowed(reason: String(cString: strerror(errno))) }
        self.descriptor = descriptor
        var random = SystemRandomNumberGenerator()
        cookie = random.next()
        identifier = random.next()
        // Then only replies from the address arrive.
        let connected = peer.withUnsafeBytes { raw in
            raw.baseAddress.map { connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count)) }
        }
        guard connected == 0 else {
            let reason = String(cString: strerror(errno))
            Glibc.close(descriptor)
            throw ProbeError.cannotSend(address: address, reason: reason)
        }
    }

    func close() { Glibc.close(descriptor) }

    /// Sends one request; a full queue or a temporarily unreachable host counts as a loss.
    func send(sequence: UInt16) throws(ProbeError) {
        let message = EchoMessage(family: family, identifier: identifier, sequence: sequence, cookie: cookie).bytes
        guard Glibc.send(descriptor, message, message.count, 0) < 0 else { return }
        let passing = [ENOBUFS, EAGAIN, EINTR, EHOSTUNREACH, ENETUNREACH, ECONNREFUSED, EHOSTDOWN]
        guard passing.contains(errno) else {
            throw .cannotSend(address: address, reason: String(cString: strerror(errno)))
        }
    }

    /// Waits for at most `seconds`; returns the sequence number when a reply to one of our requests arrives.
    func receive(within seconds: Double) -> UInt16? {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, Int32((seconds * 1000).rounded(.up))) > 0 else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 8) { raw in
            let count = recv(descriptor, raw.baseAddress, raw.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return nil }
            return EchoMessage.replySequence(
                in: Array(raw[..<count])[...],
                family: family,
                cookie: cookie,
                hasInternetHeader: isRaw && family == .v4
            )
        }
    }

    private static func resolve(_ address: String) throws -> (family: Int32, peer: [UInt8]) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address, nil, &hints, &list) == 0, let found = list?.pointee, let peer = found.ai_addr else {
            throw ProbeError.unknownAddress(address)
        }
        defer { freeaddrinfo(list) }
        return (found.ai_family, [UInt8](UnsafeRawBufferPointer(start: peer, count: Int(found.ai_addrlen))))
    }
}
