// SPDX-License-Identifier: Apache-2.0

extension MoveReason: CustomStringConvertible {
    public var description: String { effect.map { "\(cause); \($0)" } ?? "\(cause)" }
}

extension MoveReason.Cause: CustomStringConvertible {
    public var description: String {
        switch self {
        case .maintenance(let host): "\(host) is in maintenance and is to be emptied"
        case .rules(let names, let host):
            "\(names.count == 1 ? "rule" : "rules") \(names.joined(separator: ", ")) "
                + "would have it elsewhere than on \(host)"
        case .overload(let host, let contention):
            "\(host) is overloaded (\(contention.isEmpty ? "it was before" : contention.text))"
        case .failureReserve: "room is to be kept for the VMs of a host that fails, and there is none yet"
        case .balance(let balance): "\(balance)"
        case .consolidation(let host): "\(host) is emptied so that it can be powered off"
        case .stop(let host): "it stops on \(host) until its place is free, so that others can move"
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
            ? ", and its guest dirties memory nearly as fast as the path carries it, or faster: it will be slowed down"
            : ""
        return "\(vmName) needs \(Fleet.cores(cores)) and \(bytesInWords(memoryBytes)); "
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
        case .partOfOthers: "other moves gain by what it costs"
        case .times(let times):
            "it gains \(times < 10 ? "\((times * 10).rounded() / 10)" : "\(Int(times.rounded()))") times what it costs"
        case .overThousandTimes: "it gains over 1000 times what it costs"
        }
    }
}
