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
        case done(Evidence.Verdict)
        case failed(kind: OrderFailure.Kind, code: String, at: HostName?, evidence: Evidence.Verdict? = nil)
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

    /// The number of times that the time on a console may go back while two copies run, once a second: an agent
    /// pauses its copy as soon as it can ask its libvirt, which a fault prevents for 45 s at most.
    static let longestOverlap = 60

    var isInDoubt: Bool { end?.isInDoubt ?? false }

    /// Returns the state of the guest; `nil` if it is not an allowed outcome of any fault.
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
    /// `hit`: what the fault has struck.
    func violations(
        of cell: FaultCell,
        guest: String,
        from source: HostName,
        to target: HostName,
        hit: FaultHit = .inPhase
    ) -> [String] {
        var broken = brokenIntegrity(of: guest)
        let outcome = outcome(of: guest)
        let allowed = cell.allowedOutcomes(after: hit)
        if let outcome, allowed.contains(outcome) {
            broken += brokenPlace(of: guest, outcome)
        } else {
            let names = allowed.map(\.rawValue).sorted().joined(separator: ", ")
            broken.append("\(guest): \(place(of: guest)); allowed: \(names)")
        }
        let setbacks = guests[guest]?.setbacks ?? 0
        if setbacks > (outcome == .duplicatePaused ? Self.longestOverlap : 0) {
            broken.append("\(guest): two copies ran at once (its time went back \(setbacks) times)")
        }
        if beginnings > 1 { broken.append("the order was begun \(beginnings) times") }
        return broken + brokenEnd(of: guest, from: source, to: target, outcome)
    }

    /// Returns the broken rules about a guest that did not move and was on this host.
    func violations(ofBystander guest: String, on host: HostName, mayBoot: Bool) -> [String] {
        var broken = brokenIntegrity(of: guest)
        let own = guests[guest] ?? Guest()
        if hosts(with: \.running, guest) != [host] || hosts(with: \.active, guest) != [host] {
            broken.append("\(guest), which did not move from \(host): \(place(of: guest))")
        } else {
            broken += brokenPlace(of: guest, .runs)
        }
        if own.boots > (mayBoot ? 1 : 0) { broken.append("\(guest), which did not move, booted \(own.boots) times") }
        if own.setbacks > 0 { broken.append("\(guest), which did not move, ran twice") }
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
    ///
    /// Autostart is never on two hosts, nor where only a leftover definition or a paused copy is.
    private func brokenPlace(of guest: String, _ outcome: FaultOutcome) -> [String] {
        let running = hosts(with: \.running, guest)
        let autostart = hosts(with: \.autostart, guest)
        var broken: [String] = []
        let isWrong: Bool
        switch outcome {
        case .runs, .booted, .off:
            let here = outcome == .off ? hosts(with: \.defined, guest) : running
            if hosts(with: \.defined, guest) != here {
                broken.append("\(guest): definition elsewhere: \(place(of: guest))")
            }
            // While a search is open, agents leave autostart off.
            isWrong = isInDoubt ? !autostart.isEmpty && autostart != here : autostart != here
        case .leftover, .duplicatePaused:
            // An operator has to remove the other copy.
            isWrong = !autostart.allSatisfy(running.contains)
        case .doubt:
            // It may have been set where the VM ended, but not where a copy is paused.
            let paused = hosts(with: \.active, guest)
            isWrong = autostart.count > 1 || autostart.contains(where: paused.contains)
        }
        if isWrong { broken.append("\(guest): autostart elsewhere: \(place(of: guest))") }
        return broken
    }

    /// The order has ended, without a leak and without a doubt that no agent pursues, and states where the VM is.
    private func brokenEnd(
        of guest: String,
        from source: HostName,
        to target: HostName,
        _ outcome: FaultOutcome?
    ) -> [String] {
        let running = hosts(with: \.running, guest)
        var broken = end?.evidence == .leak ? ["the order's evidence shows a leak"] : []
        switch end {
        case nil: broken.append("the order has not ended")
        case .done:
            if !running.isEmpty, running != [target] {
                broken.append("the order is done, but \(guest): \(place(of: guest))")
            }
        case .failed(.inDoubt, let code, _, _):
            if outcome?.needsOperator != true { broken.append("the order ended in doubt (\(code))") }
        case .failed(let kind, let code, let at, _):
            guard running.count == 1 else { break }
            if let at, running != [at] {
                broken.append("the order (\(kind.rawValue), \(code)) states \(at), but \(guest): \(place(of: guest))")
            } else if at == nil, beginnings > 0 {
                broken.append("the order (\(kind.rawValue), \(code)) had begun, and does not state where \(guest) is")
            }
        }
        return broken
    }
}

extension FaultObservation {
    /// Returns the broken rules about a guest that must have run undisturbed since an earlier observation, which
    /// counts from the same marks.
    ///
    /// `boots`: how often it was started on purpose since then.
    func violations(of guest: String, since earlier: FaultObservation, boots: Int = 0) -> [String] {
        var broken = brokenIntegrity(of: guest)
        let running = hosts(with: \.running, guest)
        if running.count != 1 || hosts(with: \.active, guest) != running
            || hosts(with: \.defined, guest) != running || hosts(with: \.autostart, guest) != running
        {
            broken.append("\(guest) later: \(place(of: guest))")
        }
        let (before, now) = (earlier.guests[guest] ?? Guest(), guests[guest] ?? Guest())
        if now.boots != before.boots + boots {
            broken.append("\(guest) later: booted \(now.boots) times, not \(before.boots + boots)")
        }
        if now.setbacks > before.setbacks { broken.append("\(guest) later: two copies ran at once") }
        return broken
    }
}
