// SPDX-License-Identifier: Apache-2.0
internal import Ledger

extension ClusterAuthority {
    /// Gives the revocations that lack them the ends of the ledger's streams.
    ///
    /// What the member wrote up to now counts: nobody has heard of its removal yet, and has acted by it.
    func fillEnds(from ledgerFolder: String) async throws {
        let streams = Set(LedgerStream.allCases.map(\.rawValue))
        func lacksEnds(_ member: Roster.Member) -> Bool {
            member.revocation.map { !streams.isSubset(of: $0.ends.keys) } ?? false
        }
        guard roster.members.contains(where: lacksEnds) else { return }
        let ends = try await SharedLog.ends(folder: ledgerFolder)
        var next = roster
        for index in next.members.indices where lacksEnds(next.members[index]) {
            next.members[index].revocation?.ends.merge(ends) { known, _ in known }
        }
        try save(next)
    }
}
