// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The streams of the ledger; each is read and kept on its own.
public enum LedgerStream: String, CaseIterable, Codable, Sendable {
    /// What the agents see of their hosts.
    case load
    /// What the controller, or an operator, wants moved.
    case orders
    /// What the agents say about orders.
    case reports
}

/// What the ledger can hold: each type belongs to one stream, and each stream holds one type.
public protocol LedgerEntry: Codable, Sendable, Equatable {
    static var stream: LedgerStream { get }
    /// Whether the entry is for this writer to make.
    func mayBeWritten(by writer: LedgerWriter) -> Bool
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
        case .cancel: writer == .controller || writer == .operator
        // Only a person can know why bytes were missing.
        case .clear: writer == .operator
        }
    }
}

extension OrderReport: LedgerEntry {
    public static var stream: LedgerStream { .reports }
    public func mayBeWritten(by writer: LedgerWriter) -> Bool { writer == .host(host) }
}
