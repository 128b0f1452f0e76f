// SPDX-License-Identifier: Apache-2.0

/// A place between two records of one stream; a reader goes on from it, after a restart too.
///
/// Only the ledger that gave it out knows what the numbers mean.
public struct Cursor: Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The part of the stream, counted from 1.
    public var segment: Int
    /// The place in that part.
    public var offset: Int64

    public init(segment: Int, offset: Int64) {
        self.segment = segment
        self.offset = offset
    }

    /// Where every stream begins.
    static let origin = Self(segment: 1, offset: 0)

    public var description: String { "\(segment):\(offset)" }

    /// The place that `description` names.
    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let segment = Int(parts[0]), let offset = Int64(parts[1]) else { return nil }
        self.init(segment: segment, offset: offset)
        // Each place has one name.
        guard self.description == description else { return nil }
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}
