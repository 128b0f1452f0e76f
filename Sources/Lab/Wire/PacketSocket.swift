// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A raw socket on one interface that receives every arriving frame and sends frames unchanged.
struct PacketSocket: ~Copyable {
    let descriptor: Int32

    // From <linux/if_packet.h>, <linux/if_ether.h> and <linux/socket.h>, which Swift's Glibc module lacks.
    private static let family: Int32 = 17
    private static let allProtocols: UInt16 = 3
    private static let packetLevel: Int32 = 263
    private static let addMembership: Int32 = 1
    private static let ignoreOutgoing: Int32 = 23
    private static let promiscuous: UInt16 = 1
    private static let receiveBuffer: Int32 = 8 << 20

    init(interface: String) throws {
        let index = if_nametoindex(interface)
        guard index != 0 else { throw LabError.wire(interface: interface, reason: "no such interface") }
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(Self.family, type, 0)
        guard descriptor >= 0 else {
            throw LabError.wire(interface: interface, reason: "cannot open a raw socket (\(Files.reason()))")
        }
        // Set the options first: frames start to arrive once the socket is bound.
        guard Self.set(descriptor, Self.packetLevel, Self.ignoreOutgoing, Int32(1)),
            Self.set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, Self.receiveBuffer),
            // struct packet_mreq: index, type, length of the address, address.
            Self.set(
                descriptor,
                Self.packetLevel,
                Self.addMembership,
                (UInt32(index), Self.promiscuous, UInt16(0), UInt64(0))
            ), Self.bindTo(index, descriptor)
        else {
            let reason = Files.reason()
            close(descriptor)
            throw LabError.wire(interface: interface, reason: "cannot listen on it (\(reason))")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    private static func bindTo(_ index: UInt32, _ descriptor: Int32) -> Bool {
        // struct sockaddr_ll: family, protocol, index, and fields used only for receiving.
        let address = (UInt16(family), allProtocols.bigEndian, index, UInt64(0), UInt32(0))
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 20) == 0 }
        }
    }

    private static func set<Value>(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Value) -> Bool {
        withUnsafePointer(to: value) {
            setsockopt(descriptor, level, option, $0, socklen_t(MemoryLayout<Value>.size)) == 0
        }
    }

    /// Copies the next waiting frame to `buffer` and returns its length; `nil` if none waits.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        return count > 0 ? count : nil
    }

    func send(_ frame: UnsafeRawBufferPointer) -> Bool {
        Glibc.send(descriptor, frame.baseAddress, frame.count, 0) == frame.count
    }
}

/// Turns off the offloads of network cards, so that each frame on the wire has its checksums and fits the MTU.
enum Offloads {
    // From <linux/sockios.h> and <linux/ethtool.h>.
    private static let request: UInt = 0x8946
    private static let settings: [(name: String, command: UInt32)] = [
        ("transmit checksums", 0x17), ("TCP segmentation", 0x1f), ("generic segmentation", 0x24),
        ("generic receive offload", 0x2c),
    ]

    /// Turns off the offloads of an interface in the given network namespace.
    ///
    /// The calling thread enters that namespace briefly.
    static func turnOff(_ interface: String, namespaceFile: String) throws {
        let control = try Namespaces.inNamespace(namespaceFile) { socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
        defer { close(control) }
        for (name, command) in settings {
            // struct ethtool_value: command and value.
            var value = (command, UInt32(0))
            let failed = withUnsafeMutablePointer(to: &value) { data in
                // struct ifreq: 16 bytes of name, then a union that begins with the pointer.
                withUnsafeTemporaryAllocation(byteCount: 40, alignment: 8) { raw in
                    raw.initializeMemory(as: UInt8.self, repeating: 0)
                    for (index, byte) in interface.utf8.prefix(15).enumerated() { raw[index] = byte }
                    raw.storeBytes(of: UInt(bitPattern: data), toByteOffset: 16, as: UInt.self)
                    guard let base = raw.baseAddress else { return Int32(-1) }
                    return ioctl(control, request, base)
                }
            }
            guard failed == 0 else {
                throw LabError.wire(interface: interface, reason: "\(name) cannot be turned off (\(Files.reason()))")
            }
        }
    }
}
