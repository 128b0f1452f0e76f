// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What a man in the middle does to passing frames: targeted where memory is visible, blind where it is encrypted.
public struct Tampering: Sendable, Equatable {
    /// Byte strings of the guest's memory; wherever one passes in the clear, one of its bits is flipped.
    public var targets: [[UInt8]]
    /// The share of large encrypted payloads of which one bit is flipped, 0 to 1.
    public var noise: Double
    /// The choice of what noise hits comes from it alone.
    public var seed: UInt64

    public init(targets: [[UInt8]], noise: Double, seed: UInt64) {
        self.targets = targets
        self.noise = noise
        self.seed = seed
    }

    static let migrationPorts: ClosedRange<UInt16> = 49152...49215
    /// Where encrypted memory may pass in TCP: QEMU's TLS, libvirt's TLS, ssh.
    static let libvirtTLS: UInt16 = 16514
    static let ssh: UInt16 = 22
    static let natTraversal: UInt16 = 4500
    /// So much of each TCP connection passes untouched, so that handshakes succeed and memory is hit.
    static let spared = 256 << 10
    /// Smaller packets of ESP carry acknowledgements or keys.
    static let largePayload = 1000
}

/// What was done on the wire so far.
public struct WireStatistics: Sendable, Codable, Equatable {
    public var frames: UInt64 = 0
    public var bytes: UInt64 = 0
    /// Frames that could not be forwarded, such as those above the link's MTU.
    public var lost: UInt64 = 0
    /// Pieces of memory that were recognised; each had a bit flipped.
    public var targetsHit: UInt64 = 0
    /// Large encrypted payloads that were open to noise, and those that were hit, by kind (`ESP`, `TCP 49152`).
    public var openToNoise: UInt64 = 0
    public var noiseHits: [String: UInt64] = [:]

    public var framesChanged: UInt64 { targetsHit + noiseHits.values.reduce(0, +) }

    public init() {}
}

/// A man in the middle at work: a value, fed with frames.
struct Tamperer {
    let tampering: Tampering
    private(set) var statistics = WireStatistics()
    private var random: SplitMix64
    private var passed: [Frame.Flow: Int] = [:]

    init(_ tampering: Tampering) {
        self.tampering = tampering
        random = SplitMix64(seed: tampering.seed)
    }

    /// Counts a frame that passes, and changes it if it is of interest.
    mutating func handle(_ bytes: UnsafeMutableRawBufferPointer) {
        statistics.frames += 1
        statistics.bytes += UInt64(bytes.count)
        guard let frame = Frame(UnsafeRawBufferPointer(bytes)), !frame.payload.isEmpty else { return }
        if frame.protocolNumber == Frame.tcp, isMigration(frame) { hitTargets(of: frame, in: bytes) }
        guard tampering.noise > 0, let kind = kindOpenToNoise(frame, in: bytes) else { return }
        statistics.openToNoise += 1
        guard Double(random.next() >> 11) * 0x1p-53 < tampering.noise else { return }
        // Behind the first 64 bytes: past ESP's header and a record's, in what was encrypted.
        let span = frame.payload.count - 64
        let offset = frame.payload.lowerBound + 64 + Int(random.next() % UInt64(span))
        frame.flip(1 << (random.next() % 8), at: offset, in: bytes)
        statistics.noiseHits[kind, default: 0] += 1
    }

    mutating func couldNotHandOn() { statistics.lost += 1 }

    private func isMigration(_ frame: Frame) -> Bool {
        Tampering.migrationPorts.contains(frame.destinationPort) || Tampering.migrationPorts.contains(frame.sourcePort)
    }

    private mutating func hitTargets(of frame: Frame, in bytes: UnsafeMutableRawBufferPointer) {
        let payload = UnsafeRawBufferPointer(rebasing: bytes[frame.payload])
        for target in tampering.targets {
            // A retransmission is changed in the same place, so that both copies of the segment are equal.
            for start in ByteSearch.offsets(of: target, in: payload) {
                frame.flip(0x10, at: frame.payload.lowerBound + start + target.count / 2, in: bytes)
                statistics.targetsHit += 1
            }
        }
    }

    /// The kind of encrypted bulk data that the frame carries; `nil` if it carries none, or its connection is spared yet.
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
                    Tampering.migrationPorts.contains($0) || $0 == Tampering.libvirtTLS || $0 == Tampering.ssh
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
