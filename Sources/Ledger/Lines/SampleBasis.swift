// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials
internal import Synchronization

/// A whole sample in a writer's own log, on which later lines in the same segment rest.
struct SampleBasis: Sendable {
    let sample: LoadSample
    let at: Cursor
    /// The first 64 bits of the SHA-256 of its line, in hexadecimal.
    let digest: String

    /// A longer line is no basis: each line that rests on it takes as much memory as a whole one when it is read.
    static let longestLine = 256 << 10
    /// A whole sample follows after this time, by the writer's clock: if a basis is damaged, no more than this is lost.
    private static let lifetime: Duration = .seconds(60)

    /// Returns `nil` if the sample's line, whose mark this is, is too long.
    init?(_ sample: LoadSample, _ mark: LedgerMark, bytes: Int) {
        guard bytes <= Self.longestLine else { return nil }
        self.sample = sample
        at = mark.at
        digest = String(mark.digest.prefix(16))
    }

    /// Returns the body of a line that states only what has changed; `nil` if the sample must be written whole.
    func change(to sample: LoadSample) -> ChangeBody? {
        let age = sample.at - self.sample.at
        guard age >= .zero, age < Self.lifetime, let change = SampleChange(of: sample, since: self.sample) else {
            return nil
        }
        return ChangeBody(basis: ChangeBody.Basis(digest: digest, offset: at.offset), change: change)
    }
}

/// The body of a line that states only what has changed since a whole sample.
struct ChangeBody: Codable, Sendable, Equatable {
    /// Names a line in the same segment; the digest shows that it is the same line.
    struct Basis: Codable, Sendable, Equatable {
        var digest: String
        var offset: Int64
    }

    var basis: Basis
    var change: SampleChange
}

/// The body of a line as it is written.
enum LineBody<Entry: LedgerEntry>: Decodable, Sendable {
    case whole(Entry)
    /// Only in the stream `load`.
    case change(ChangeBody)

    private enum Field: String, CodingKey { case basis }

    init(from decoder: any Decoder) throws {
        // No sample has this field.
        if Entry.stream == .load, try decoder.container(keyedBy: Field.self).contains(.basis) {
            self = .change(try ChangeBody(from: decoder))
        } else {
            self = .whole(try Entry(from: decoder))
        }
    }
}

/// The last basis of each log that was read, so that a reader that follows the log need not read it again.
final class SampleBases: Sendable {
    private let bases = Mutex<[LedgerLog: SampleBasis]>([:])
    /// Maximum number of logs.
    private static let maximum = 1000

    /// The number of logs with a basis.
    var count: Int { bases.withLock { $0.count } }

    subscript(log: LedgerLog) -> SampleBasis? {
        get { bases.withLock { $0[log] } }
        set {
            bases.withLock { bases in
                if bases.count >= Self.maximum, bases[log] == nil { bases = [:] }
                bases[log] = newValue
            }
        }
    }
}
