// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Ledger

/// What taking up a roster changed for a member.
public struct IdentityChange: Sendable, Equatable {
    /// The number of the roster in force.
    public var number: UInt64
    public var isNew = false
    /// The anchors or their revocation lists are others than before: what trusts by them must read them again.
    public var trustChanged = false
    /// Members that were removed or given new keys: what they authenticated before must end.
    public var ended: [LedgerWriter] = []

    init(number: UInt64) { self.number = number }

    /// What taking up `after` changes for a member that went by `before`.
    public init(from before: Roster, to after: Roster) {
        number = after.number
        isNew = true
        trustChanged = before.anchors != after.anchors
        ended = after.members.filter { member in
            let known = before[member.name]
            // One that this member never heard of before may have opened a tunnel all the same.
            if member.revocation != nil { return known?.revocation == nil }
            guard let known else {
                // Its keys may have been replaced before this member had heard of it at all.
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
