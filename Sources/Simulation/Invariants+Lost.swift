// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Checks about definitions that are lost, and about hosts that are.
extension Invariants {
    mutating func alerted(_ vm: Int, at: Int64) { alerts[vm] = at }

    /// Checks that an agent has alerted an operator that a VM's definition may be lost.
    mutating func mustBeAlerted(_ vm: Int, since: Int64, name: String, at: Int64) {
        guard (alerts[vm] ?? .min) < since else { return }
        broken(.kept, "the definition of \(name) is on no host, and no agent has raised an alert", at: at)
    }

    /// The source refuses a controller's order, because it still searches at a host that has been down for long.
    mutating func pinned(_ name: String, by host: HostName, downFor milliseconds: Int64, at: Int64) {
        let time = Duration.milliseconds(milliseconds).text
        broken(.freed, "\(name) may not move: \(host), down for \(time), does not answer", at: at)
    }
}
