// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The streams of the ledger; each is read and retained independently.
public enum LedgerStream: String, CaseIterable, Codable, Sendable {
    /// Load samples of the agents.
    case load
    /// Orders of the controller and of operators.
    case orders
    /// The agents' reports on orders.
    case reports
}

/// A type of entry in the ledger: each type belongs to one stream, and each stream holds one type.
public protocol LedgerEntry: Codable, Sendable, Equatable {
    static var stream: LedgerStream { get }
    /// Returns whether this writer is permitted to write the entry.
    func mayBeWritten(by writer: LedgerWriter) -> Bool
    /// What this version does not understand of the entry; `nil` if it understands all of it.
    var notUnderstood: String? { get }
}

extension LedgerEntry {
    public var notUnderstood: String? { nil }
}

extension LoadSample: LedgerEntry {
    public static var stream: LedgerStream { .load }
    public func mayBeWritten(by writer: LedgerWriter) -> Bool { writer == .host(host) }
}

extension OrderRecord: LedgerEntry {
    public static var stream: LedgerStream { .orders }
    public func mayBeWritten(by writer: LedgerWriter) -> Bool {
        switch self {
        case .migrate(let order): writer == (order.issuer == .controller ? .controller : .operator)
        case .cancel, .end: writer == .controller || writer == .operator
        // Only an operator can know why bytes were missing.
        case .clear: writer == .operator
        case .takeOver: writer == .controller
        }
    }
}

extension OrderReport: LedgerEntry {
    public static var stream: LedgerStream { .reports }
    public func mayBeWritten(by writer: LedgerWriter) -> Bool { writer == .host(host) }
}
