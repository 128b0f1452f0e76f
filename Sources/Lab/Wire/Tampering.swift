// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// How a man in the middle changes frames: targeted where memory is visible, random where it is encrypted.
public struct Tampering: Sendable, Equatable {
    /// Byte strings of the guest's memory; each visible occurrence has one bit flipped.
    public var targets: [[UInt8]]
    /// The share of large encrypted payloads to flip one bit in, from 0 to 1.
    public var noise: Double
    /// The seed that determines which payloads the noise hits.
    public var seed: UInt64

    public init(targets: [[UInt8]], noise: Double, seed: UInt64) {
        self.targets = targets
        self.noise = noise
        self.seed = seed
    }

    /// The TCP ports that may carry encrypted memory, in addition to `migrationPorts`.
    static let libvirtTLS: UInt16 = 16514
    static let ssh: UInt16 = 22
    static let natTraversal: UInt16 = 4500
    /// Bytes of each TCP connection that pass unchanged, so that handshakes succeed and only memory is hit.
    static let spared = 256 << 10
    /// Minimum payload in bytes; smaller ESP packets carry acknowledgements or keys.
    static let largePayload = 1000
}

/// The frames that have passed so far, and the changes to them.
public struct WireStatistics: Sendable, Codable, Equatable {
    public var frames: UInt64 = 0
    public var bytes: UInt64 = 0
    /// Frames that could not be forwarded, such as those above the link's MTU.
    public var lost: UInt64 = 0
    /// Number of recognised pieces of memory; each had one bit flipped.
    public var targetsHit: UInt64 = 0
    /// Number of large encrypted payloads that the noise could hit, and of those it hit, by kind (`ESP`, `TCP 49152`).
    public var openToNoise: UInt64 = 0
    public var noiseHits: [String: UInt64] = [:]

    public var framesChanged: UInt64 { targetsHit + noiseHits.values.reduce(0, +) }

    public init() {}
}

/// The state of a man in the middle: a value without I/O that receives frames.
struct Tamperer {
    let tampering: Tampering
    private(set) var statistics = WireStatistics()
    private var random: SplitMix64
    private var passed: [Frame.Flow: Int] = [:]

    init(_ tampering: Tampering) {
        self.tampering = tampering
        random = SplitMix64(seed: tampering.seed)
    }

    /// Counts a frame and changes it if it is a target.
    mutating func handle(_ bytes: UnsafeMutableRawBufferPointer) {
        statistics.frames += 1
        statistics.bytes += UInt64(bytes.count)
        guard let frame = Frame(UnsafeRawBufferPointer(bytes)), !frame.payload.isEmpty else { return }
        if frame.protocolNumber == Frame.tcp, isMigration(frame) { hitTargets(of: frame, in: bytes) }
        guard tampering.noise > 0, let kind = kindOpenToNoise(frame, in: bytes) else { return }
        statistics.openToNoise += 1
        guard Double(random.next() >> 11) * 0x1p-53 < tampering.noise else { return }
        // Skip the first 64 bytes, the header of ESP or of a TLS record, to hit encrypted data.
        let span = frame.payload.count - 64
        let offset = frame.payload.lowerBound + 64 + Int(random.next() % UInt64(span))
        frame.flip(1 << (random.next() % 8), at: offset, in: bytes)
        statistics.noiseHits[kind, default: 0] += 1
    }

    mutating func recordDrop() { statistics.lost += 1 }

    private func isMigration(_ frame: Frame) -> Bool {
        Channel.defaultMigrationPorts.contains(Int(frame.destinationPort))
            || Channel.defaultMigrationPorts.contains(Int(frame.sourcePort))
    }

    private mutating func hitTargets(of frame: Frame, in bytes: UnsafeMutableRawBufferPointer) {
        let payload = UnsafeRawBufferPointer(rebasing: bytes[frame.payload])
        for target in tampering.targets {
            // A retransmission is changed at the same place, so that both copies of the segment are equal.
            for start in ByteSearch.offsets(of: target, in: payload) {
                frame.flip(0x10, at: frame.payload.lowerBound + start + target.count / 2, in: bytes)
                statistics.targetsHit += 1
            }
        }
    }

    /// Returns the kind of encrypted bulk data in the frame; `nil` if it has none, or if its connection is still
    /// spared.
    private mutating func kindOpenToNoise(_ frame: Frame, in bytes: UnsafeMutableRawBufferPointer) -> String? {
        switch frame.protocolNumber {
        case Frame.esp: return frame.payload.count >= Tampering.largePayload ? "ESP" : nil
        case Frame.udp:
            guard frame.sourcePort == Tampering.natTraversal || frame.destinationPort == Tampering.natTraversal,
                frame.payload.count >= Tampering.largePayload,
                // Four zero bytes mark IKE (RFC 3948).
                bytes[frame.payload.prefix(4)].contains(where: { $0 != 0 })
            else { return nil }
            return "ESP in UDP"
        case Frame.tcp:
            let ports = [frame.destinationPort, frame.sourcePort]
            guard
                let port = ports.first(where: {
                    Channel.defaultMigrationPorts.contains(Int($0)) || $0 == Tampering.libvirtTLS || $0 == Tampering.ssh
                })
            else { return nil }
            let before = passed[frame.flow, default: 0]
            passed[frame.flow] = before + frame.payload.count
            guard before >= Tampering.spared, frame.payload.count >= Tampering.largePayload else { return nil }
            return port == Tampering.ssh ? "ssh" : "TCP \(port)"
        default: return nil
        }
    }
}
