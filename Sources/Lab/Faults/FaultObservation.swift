// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What was observed after a fault; the rules (`violations`) are evaluated on it alone.
public struct FaultObservation: Sendable, Codable, Equatable {
    /// The VMs of one host, as its own libvirt lists them.
    public struct Host: Sendable, Codable, Equatable {
        public var name: HostName
        /// Running or paused.
        public var active: Set<String>
        public var running: Set<String>
        /// With a persistent definition.
        public var defined: Set<String>
        public var autostart: Set<String>
    }

    /// What a guest's console shows since the fault's order was given.
    public struct Guest: Sendable, Codable, Equatable {
        public var boots = 0
        /// How often its time went back without a boot: two copies wrote to one console.
        public var setbacks = 0
        /// The problems that its checks of memory and disk, and the check of its image, have found.
        public var problems: [String] = []
    }

    /// How the order ended.
    public enum End: Sendable, Codable, Equatable {
        case done
        case failed(kind: OrderFailure.Kind, code: String, at: HostName?)
    }

    public var hosts: [Host]
    public var guests: [String: Guest]
    /// The order's newest end; `nil` while it is open.
    public var end: End?
    /// How often a host began the order.
    public var beginnings: Int

    public init(hosts: [Host], guests: [String: Guest], end: End?, beginnings: Int) {
        self.hosts = hosts
        self.guests = guests
        self.end = end
        self.beginnings = beginnings
    }
}

extension FaultObservation {
    /// Returns the hosts where a property of the guest holds.
    func hosts(with property: KeyPath<Host, Set<String>>, _ guest: String) -> [HostName] {
        hosts.filter { $0[keyPath: property].contains(guest) }.map(\.name)
    }

    var isInDoubt: Bool { if case .failed(.inDoubt, _, _) = end { true } else { false } }

    /// Returns what has become of the guest; `nil` if it is nothing that may ever be.
    public func outcome(of guest: String) -> FaultOutcome? {
        let running = hosts(with: \.running, guest)
        let active = hosts(with: \.active, guest)
        let defined = hosts(with: \.defined, guest)
        let boots = guests[guest]?.boots ?? 0
        return switch (running.count, active.count) {
        case (1, 1) where boots == 0: defined.count == 2 ? .leftover : .runs
        case (1, 1) where boots == 1: .booted
        case (1, 2) where isInDoubt: .duplicatePaused
        case (0, 0) where defined.count == 1: .off
        case (0, 0) where defined.count == 2 && isInDoubt: .doubt
        case (0, 1) where isInDoubt: .doubt
        default: nil
        }
    }

    /// Returns the broken rules about the VM that the cell moved from one host to another; empty if all hold.
    ///
    /// `mayRun`: it may run whatever the fault, because the fault came after the order's end.
    public func violations(
        of cell: FaultCell,
        guest: String,
        from source: HostName,
        to target: HostName,
        mayRun: Bool = false
    ) -> [String] {
        var broken = brokenIntegrity(of: guest)
        let outcome = outcome(of: guest)
        let allowed = mayRun ? cell.allowedOutcomes.union([.runs]) : cell.allowedOutcomes
        if let outcome, allowed.contains(outcome) {
            broken += brokenPlace(of: guest, outcome)
        } else {
            let names = allowed.map(\.rawValue).sorted().joined(separator: ", ")
            broken.append("\(guest): \(place(of: guest)); allowed: \(names)")
        }
        if outcome != .duplicatePaused, let setbacks = guests[guest]?.setbacks, setbacks > 0 {
            broken.append("\(guest): two copies ran at once (its time went back \(setbacks) times)")
        }
        if beginnings > 1 { broken.append("the order was begun \(beginnings) times") }
        return broken + brokenEnd(of: guest, from: source, to: target, outcome)
    }

    /// Returns the broken rules about a guest that did not move and was on this host.
    public func violations(ofBystander guest: String, on host: HostName, mayBoot: Bool) -> [String] {
        var broken = brokenIntegrity(of: guest)
        let seen = guests[guest] ?? Guest()
        if hosts(with: \.running, guest) != [host] || hosts(with: \.active, guest) != [host] {
            broken.append("\(guest), which did not move from \(host): \(place(of: guest))")
        } else {
            broken += brokenPlace(of: guest, .runs)
        }
        if seen.boots > (mayBoot ? 1 : 0) { broken.append("\(guest), which did not move, booted \(seen.boots) times") }
        if seen.setbacks > 0 { broken.append("\(guest), which did not move, ran twice") }
        return broken
    }

    /// Returns where the guest is, as text.
    public func place(of guest: String) -> String {
        func names(_ property: KeyPath<Host, Set<String>>) -> String {
            let hosts = hosts(with: property, guest)
            return hosts.isEmpty ? "none" : hosts.map(\.rawValue).joined(separator: "+")
        }
        let boots = guests[guest].map { $0.boots > 0 ? ", booted \($0.boots) times" : "" } ?? ""
        return "runs on \(names(\.running)), active on \(names(\.active)), defined on \(names(\.defined)), "
            + "autostart on \(names(\.autostart))\(boots)"
    }

    private func brokenIntegrity(of guest: String) -> [String] {
        (guests[guest]?.problems ?? ["no console"]).map { "\(guest): \($0)" }
    }

    /// Definition and autostart are where the VM is.
    private func brokenPlace(of guest: String, _ outcome: FaultOutcome) -> [String] {
        let here: [HostName]
        switch outcome {
        case .runs, .booted: here = hosts(with: \.running, guest)
        case .off: here = hosts(with: \.defined, guest)
        // An operator has to remove the other copy.
        case .leftover, .duplicatePaused, .doubt: return []
        }
        var broken: [String] = []
        if hosts(with: \.defined, guest) != here {
            broken.append("\(guest): definition elsewhere: \(place(of: guest))")
        }
        // While a search is open, agents leave autostart off.
        if hosts(with: \.autostart, guest) != here, !isInDoubt {
            broken.append("\(guest): autostart elsewhere: \(place(of: guest))")
        }
        return broken
    }

    /// The order has ended, without a doubt that nobody pursues, and says where the VM is.
    private func brokenEnd(
        of guest: String,
        from source: HostName,
        to target: HostName,
        _ outcome: FaultOutcome?
    ) -> [String] {
        let running = hosts(with: \.running, guest)
        switch end {
        case nil: return ["the order has not ended"]
        case .done:
            return running.isEmpty || running == [target]
                ? [] : ["the order is done, but \(guest): \(place(of: guest))"]
        case .failed(.inDoubt, let code, _):
            return outcome?.needsOperator == true ? [] : ["the order ended in doubt (\(code))"]
        case .failed(let kind, let code, let at):
            guard running.count == 1, let at, running != [at] else { return [] }
            return ["the order (\(kind.rawValue), \(code)) says \(at), but \(guest): \(place(of: guest))"]
        }
    }
}
