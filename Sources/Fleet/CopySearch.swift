// SPDX-License-Identifier: Apache-2.0

/// The search of a failed move's source for a second copy of the VM, as the ledger shows it.
///
/// The source asks until the target has answered that it runs no copy, and every ten minutes while it does not answer.
/// The times of questions decide, so reports can be taken in any order.
public struct CopySearch: Sendable, Equatable {
    /// The time of the source's newest question.
    public private(set) var askedAt: Instant?
    /// The newest question to which the target has answered that it runs no copy.
    public private(set) var clearedAt: Instant?

    public init() {}

    /// Takes a question of the source or an answer of the target, and ignores all other reports.
    public mutating func take(_ report: OrderReport, of order: MigrationOrder) {
        switch report.step {
        case .asked where report.host == order.source: askedAt = max(askedAt ?? report.at, report.at)
        case .answered(let presence, let question, _)
        where report.host == order.target && presence.isClear(for: order):
            clearedAt = max(clearedAt ?? question, question)
        default: break
        }
    }

    /// Returns whether the source of an order that failed at `failedAt` no longer searches.
    ///
    /// If the target has answered that it runs no copy, the search is over once the failure and the last question are
    /// older than `endedSince`; otherwise once they are older than `searchedSince`.
    public func isOver(failedAt: Instant, endedSince: Instant, searchedSince: Instant) -> Bool {
        let isClear = clearedAt.map { $0 >= failedAt } ?? false
        return max(failedAt, askedAt ?? failedAt) < (isClear ? endedSince : searchedSince)
    }
}

extension DomainPresence {
    /// Returns whether the target of a failed order runs no copy of the VM if it has the VM in this state.
    public func isClear(for order: MigrationOrder) -> Bool {
        switch self {
        // A definition that an offline move left there could be started a second time.
        case .inactive: !order.isOffline
        case .absent, .paused: true
        case .running, .migratingOut, .pausedByMigration: false
        }
    }
}

extension OrderFailure {
    /// Returns whether the move of an order has failed with the VM at the source, which may search for a second copy.
    public func mayLeaveSearch(of order: MigrationOrder) -> Bool {
        kind != .refused && whereabouts == .at(order.source)
    }
}
