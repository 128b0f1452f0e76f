// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// An entry in the ledger, with its writer and time.
public struct LedgerRecord<Entry: LedgerEntry>: Sendable, Equatable {
    public var writer: LedgerWriter
    /// The time of writing, by the writer's clock.
    public var at: Instant
    public var body: Entry

    public init(writer: LedgerWriter, at: Instant, body: Entry) {
        self.writer = writer
        self.at = at
        self.body = body
    }
}

/// The writer of a record; in an unsigned ledger, the claimed writer.
///
/// In the ledger it is `host:NAME`, `controller` or `operator`.
public enum LedgerWriter: Hashable, Sendable, CustomStringConvertible {
    /// The agent of this host.
    case host(HostName)
    case controller
    case `operator`

    public init?(_ description: String) {
        switch description {
        case "controller": self = .controller
        case "operator": self = .operator
        default:
            guard description.hasPrefix("host:"), description.count > 5 else { return nil }
            self = .host(HostName(String(description.dropFirst(5))))
        }
    }

    public var description: String {
        switch self {
        case .host(let name): "host:\(name)"
        case .controller: "controller"
        case .operator: "operator"
        }
    }
}

extension LedgerWriter: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let word = try container.decode(String.self)
        guard let writer = Self(word) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "'\(word.plainText(limit: 80))' is not a writer"
            )
        }
        self = writer
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
