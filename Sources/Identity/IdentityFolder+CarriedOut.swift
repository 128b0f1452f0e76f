// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
public import Ledger

/// The last roster whose changes a member has applied completely, kept across restarts.
///
/// Connections authenticated with keys that are no longer valid must be closed, even if the agent was stopped before
/// it closed them.
extension IdentityFolder {
    /// Returns the anchors, keys and removals of the last roster that was applied completely; `nil` if unknown.
    public func carriedOutRoster() -> Roster? {
        guard let text = try? IdentityFiles.read(paths.carriedOut) else { return nil }
        return try? JSONDecoder().decode(Roster.self, from: Data(text.utf8))
    }

    /// Records that all changes of this roster are applied.
    public func noteCarriedOut(_ roster: Roster) throws {
        var essence = roster
        for index in essence.members.indices {
            essence.members[index].certificate = ""
            essence.members[index].hardware = nil
            essence.members[index].issued = nil
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try IdentityFiles.write(
            String(decoding: try encoder.encode(essence), as: UTF8.self) + "\n",
            to: paths.carriedOut
        )
    }
}
