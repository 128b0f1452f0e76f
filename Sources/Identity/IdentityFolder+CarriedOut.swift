// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
public import Ledger

/// How far a member has come in carrying out what rosters ask for, across its own restarts: what was authenticated
/// with keys that count no more must end, even if the agent was stopped before it had ended it.
extension IdentityFolder {
    /// Anchors, keys and removals of the roster that was last carried out to the end; `nil` where that is not known.
    public func carriedOutRoster() -> Roster? {
        guard let text = try? IdentityFiles.read(paths.carriedOut) else { return nil }
        return try? JSONDecoder().decode(Roster.self, from: Data(text.utf8))
    }

    /// Notes that all that this roster asks for is carried out.
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
