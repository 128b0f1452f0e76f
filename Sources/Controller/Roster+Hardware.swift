// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet
public import Ledger

extension Roster {
    /// The enrolled hardware of the hosts for which it was stated.
    public var enrolledHardware: [HostName: EnrolledHardware] {
        var hardware: [HostName: EnrolledHardware] = [:]
        for member in members {
            guard case .host(let name) = member.name, let its = member.hardware else { continue }
            hardware[name] = EnrolledHardware(cpus: its.cpus, memoryBytes: its.memoryBytes)
        }
        return hardware
    }
}
