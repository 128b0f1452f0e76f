// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// The process that acts as the wire: it forwards every frame between two interfaces and may change it.
///
/// It runs in the LAN's namespace until it is killed.
public struct WireProcess: Sendable {
    /// The host's port, detached from the bridge.
    public var port: String
    /// The interface that leads to the bridge.
    public var outside: String
    /// Interfaces whose offloads to turn off first: the file of the namespace and the interface's name.
    public var offloads: [(namespaceFile: String, interface: String)]
    public var statisticsFile: String
    public var tampering: Tampering

    public init(
        port: String,
        outside: String,
        offloads: [(namespaceFile: String, interface: String)],
        statisticsFile: String,
        tampering: Tampering
    ) {
        self.port = port
        self.outside = outside
        self.offloads = offloads
        self.statisticsFile = statisticsFile
        self.tampering = tampering
    }

    /// Maximum frame size in bytes.
    ///
    /// Frames are smaller because segmentation offload is off; the size allows for a jumbo MTU.
    private static let longestFrame = 65_600
    private static let statisticsInterval: Duration = .milliseconds(300)

    /// Blocks until it fails; throws if it cannot start or its interfaces disappear.
    public func run() throws {
        for (namespaceFile, interface) in offloads { try Offloads.turnOff(interface, namespaceFile: namespaceFile) }
        let inner = try PacketSocket(interface: port)
        let outer = try PacketSocket(interface: outside)
        var tamperer = Tamperer(tampering)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.longestFrame, alignment: 16)
        defer { buffer.deallocate() }
        try save(tamperer.statistics)
        var saved = tamperer.statistics
        var savedAt = ContinuousClock.now
        var descriptors = [inner.descriptor, outer.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            let ready = poll(&descriptors, 2, 100)
            guard ready >= 0 || errno == EINTR else {
                throw LabError.wire(interface: port, reason: "cannot wait for frames (\(Files.reason()))")
            }
            Self.forward(from: inner, to: outer, buffer, &tamperer)
            Self.forward(from: outer, to: inner, buffer, &tamperer)
            if saved != tamperer.statistics, ContinuousClock.now - savedAt > Self.statisticsInterval {
                saved = tamperer.statistics
                savedAt = .now
                try save(saved)
            }
        }
    }

    /// Forwards at most one burst, so that the other direction is served too.
    private static func forward(
        from source: borrowing PacketSocket,
        to target: borrowing PacketSocket,
        _ buffer: UnsafeMutableRawBufferPointer,
        _ tamperer: inout Tamperer
    ) {
        for _ in 0..<64 {
            guard let count = source.receive(into: buffer) else { return }
            let frame = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            tamperer.handle(frame)
            if !target.send(UnsafeRawBufferPointer(frame)) { tamperer.recordDrop() }
        }
    }

    private func save(_ statistics: WireStatistics) throws {
        let text = String(decoding: try JSONEncoder().encode(statistics), as: UTF8.self)
        try Files.replace(statisticsFile, with: text)
    }
}
