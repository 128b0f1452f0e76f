// SPDX-License-Identifier: Apache-2.0

extension MoveReason: CustomStringConvertible {
    public var description: String { effect.map { "\(cause); \($0)" } ?? "\(cause)" }
}

extension MoveReason.Cause: CustomStringConvertible {
    public var description: String {
        switch self {
        case .maintenance(let host): "\(host) is in maintenance and must be emptied"
        case .rules(let names, let host):
            "\(names.count == 1 ? "rule" : "rules") \(names.joined(separator: ", ")) "
                + "\(names.count == 1 ? "requires" : "require") it on another host than \(host)"
        case .overload(let host, let contention):
            "\(host) is overloaded (\(contention.isEmpty ? "before the plan" : contention.text))"
        case .failureReserve: "the fleet must keep room for the VMs of a failed host and has none yet"
        case .balance(let balance): "\(balance)"
        case .consolidation(let host): "\(host) is emptied so that it can be powered off"
        case .stop(let host): "it stops on \(host) until its destination has room, so that other VMs can move"
        case .room(let host): "it makes room on \(host) for a VM that fits better there"
        case .baseline(let name): name
        }
    }
}

extension MoveReason.Balance: CustomStringConvertible {
    public var description: String {
        "it evens out \(resource) (\(text(sourceShare)) on \(source), \(text(targetShare)) on \(target), "
            + "\(text(fleetShare)) in the fleet)"
    }

    private func text(_ share: Double) -> String {
        resource == .vcpus ? "\((share * 100).rounded() / 100)" : percent(share)
    }
}

extension MoveEffect: CustomStringConvertible {
    public var description: String {
        let slow =
            slowsGuest
            ? "; the guest dirties memory nearly as fast as the path carries it, or faster, so it will be slowed down"
            : ""
        return "\(vmName) needs \(Fleet.cores(cores)) and \(byteText(memoryBytes)); "
            + "\(source.name) goes \(source.cpu) CPU and \(source.memory) memory, "
            + "\(target.name) \(target.cpu) and \(target.memory); "
            + "\(worth) (about \(Int(min(seconds, 1e9).rounded(.up))) s of migration\(slow))"
    }
}

extension MoveEffect.HostChange {
    fileprivate var cpu: String { "from \(percent(cpuBefore)) to \(percent(cpuAfter))" }
    fileprivate var memory: String { "from \(percent(memoryBefore)) to \(percent(memoryAfter))" }
}

extension MoveEffect.Worth: CustomStringConvertible {
    public var description: String {
        switch self {
        case .partOfOthers: "its gain comes from other moves of the plan"
        case .times(let times):
            "it gains \(times < 10 ? "\((times * 10).rounded() / 10)" : "\(Int(times.rounded()))") times what it costs"
        case .overThousandTimes: "it gains over 1000 times what it costs"
        }
    }
}
