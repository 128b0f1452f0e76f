// SPDX-License-Identifier: Apache-2.0

/// A position between two records of one stream, from which a reader continues, also after a restart.
///
/// The numbers have a meaning only to the ledger that issued them.
public struct Cursor: Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The number of the segment, counted from 1.
    public var segment: Int
    /// The offset in that segment, in bytes.
    public var offset: Int64

    public init(segment: Int, offset: Int64) {
        self.segment = segment
        self.offset = offset
    }

    /// The beginning of every stream.
    static let origin = Self(segment: 1, offset: 0)

    public var description: String { "\(segment):\(offset)" }

    /// Parses a `description`; `nil` if it is not one.
    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let segment = Int(parts[0]), let offset = Int64(parts[1]) else { return nil }
        self.init(segment: segment, offset: offset)
        // Each position has exactly one text.
        guard self.description == description else { return nil }
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}
