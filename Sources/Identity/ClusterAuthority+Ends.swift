// SPDX-License-Identifier: Apache-2.0
internal import Ledger

extension ClusterAuthority {
    /// Adds the ends of the ledger's streams to the revocations that lack them.
    ///
    /// Everything the member wrote until now stays valid, because no host has seen its removal yet.
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
