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

    init(from before: Roster, to after: Roster) {
        number = after.number
        isNew = true
        trustChanged = before.anchors != after.anchors
        ended = after.members.filter { member in
            guard let known = before[member.name] else { return false }
            return known.revocation == nil && (member.revocation != nil || member.keys.first != known.keys.first)
        }.map(\.name)
    }

    /// The hosts among `ended`.
    public var endedHosts: [HostName] {
        ended.compactMap { if case .host(let host) = $0 { host } else { nil } }
    }
}
