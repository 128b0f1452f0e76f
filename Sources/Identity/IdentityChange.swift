// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Ledger

/// The changes for a member when it adopts a roster.
public struct IdentityChange: Sendable, Equatable {
    /// The number of the roster in force.
    public var number: UInt64
    public var isNew = false
    /// Whether anchors or revocation lists changed, so that programs that use them must reload them.
    public var trustChanged = false
    /// Members that were removed or received new keys: their existing connections must be closed.
    public var ended: [LedgerWriter] = []

    init(number: UInt64) { self.number = number }

    /// Computes the changes for a member that used `before` and adopts `after`.
    public init(from before: Roster, to after: Roster) {
        number = after.number
        isNew = true
        trustChanged = before.anchors != after.anchors
        ended = after.members.filter { member in
            let known = before[member.name]
            // A removed member that this member did not know may have opened a tunnel nevertheless.
            if member.revocation != nil { return known?.revocation == nil }
            guard let known else {
                // Its keys may have been replaced before this member knew it.
                return member.issued?.contains { $0.endedAt != nil } ?? false
            }
            return known.revocation == nil && known.keys.first != member.keys.first
        }.map(\.name)
    }

    /// The hosts among `ended`.
    public var endedHosts: [HostName] {
        ended.compactMap { if case .host(let host) = $0 { host } else { nil } }
    }
}
