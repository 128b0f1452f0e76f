// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Ledger

/// Stores the last roster whose changes a member has applied completely, across restarts.
///
/// Connections authenticated with keys that are no longer valid must be closed, even if the agent stopped before it
/// closed them.
extension IdentityFolder {
    /// Returns the anchors, keys and removals of the last roster that was applied completely; `nil` if unknown.
    public func carriedOutRoster() -> Roster? {
        try? carriedOut.read()
    }

    /// Records that all changes of this roster are applied.
    public func recordCarriedOut(_ roster: Roster) throws {
        var essence = roster
        for index in essence.members.indices {
            essence.members[index].certificate = ""
            essence.members[index].hardware = nil
            essence.members[index].issued = nil
        }
        do { try carriedOut.replace(essence) } catch {
            throw IdentityError.file(path: paths.carriedOut, reason: "it cannot be written (\(error.reason))")
        }
    }

    private var carriedOut: StateFile<Roster> { StateFile(path: paths.carriedOut, mode: 0o644) }
}
