// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// A guest's disk as read from outside: the ring of numbered sectors that its program writes.
public struct GuestDisk: Sendable, Equatable {
    /// The highest sequence number with a valid checksum.
    public var highest: UInt64 = 0
    /// Descriptions of problems; empty if the sequence is complete.
    public var problems: [String] = []

    static let sectorBytes = 512
    static let ringSectors = 256

    /// `ring` is the image's first 128 KiB.
    init(ring: [UInt8], seed: UInt64) {
        let words = ring.withUnsafeBytes { raw in
            (0..<raw.count / 8).map { UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
        }
        let perSector = Self.sectorBytes / 8
        guard words.count == Self.ringSectors * perSector else {
            problems = ["the image is shorter than the ring of \(Self.ringSectors) sectors"]
            return
        }
        var sequences: [UInt64?] = []
        for slot in 0..<Self.ringSectors {
            let sector = words[slot * perSector..<(slot + 1) * perSector]
            let sequence = Self.sequence(of: Array(sector), seed: seed)
            if sequence == nil, sector.contains(where: { $0 != 0 }) {
                problems.append("sector \(slot) has a wrong checksum")
            }
            sequences.append(sequence)
        }
        highest = sequences.compactMap { $0 }.max() ?? 0
        guard highest > 0 else { return }
        let oldest = highest < UInt64(Self.ringSectors) ? 1 : highest - UInt64(Self.ringSectors) + 1
        for expected in oldest...highest where sequences[Int(expected % UInt64(Self.ringSectors))] != expected {
            problems.append("record \(expected) of \(highest) is missing")
        }
    }

    /// Returns the description of what is lost if the guest had reported a record; `nil` if nothing is.
    func loss(reported: UInt64?) -> String? {
        guard let reported, highest < reported else { return nil }
        return "its highest record is \(highest), but the guest had written \(reported)"
    }

    /// Returns the sequence number of a complete sector with the right seed and checksum.
    private static func sequence(of words: [UInt64], seed: UInt64) -> UInt64? {
        let magic: UInt64 = 0x3130_4b53_4944_4b45  // "EKDISK01", little-endian
        let sum = words.dropLast().reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ $1) &* 0x100_0000_01b3 }
        guard words[0] == magic, words[1] == seed, words[words.count - 1] == sum else { return nil }
        return words[2]
    }

    static func read(image: String, seed: UInt64) async throws -> GuestDisk {
        try await Blocking.run {
            let ring = try FileWindow.read(image, bytes: sectorBytes * ringSectors)
            return GuestDisk(ring: ring, seed: seed)
        }
    }
}
