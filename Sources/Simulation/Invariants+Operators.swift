// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What operators have done to VMs, as far as the invariants must know it.
struct OperatorActions {
    /// VMs that an operator has shut off or paused, and will bring back.
    var off: Set<Int> = []
    /// VMs of which an operator has started a second copy.
    var startedTwice: Set<Int> = []
    /// When an agent last paused a copy of a VM.
    var paused: [Int: Int64] = [:]
    /// Whether the ledger has lost a record, or has one of the future: an agent repeats its question only after ten minutes.
    var hasLostRecords = false

    mutating func forget(_ vm: Int) {
        off.remove(vm)
        startedTwice.remove(vm)
    }

    /// Returns for how long a VM may not run exactly once while no fault prevents the repair, in seconds.
    ///
    /// The agents must correct a copy that an operator has started sooner than an operator would: a sample, a question and its
    /// answer take about 20 s.
    func patience(with vm: Int, usual: Int, hasOperator: Bool) -> Int {
        let isAlone = startedTwice.contains(vm) || !hasOperator
        let limit = startedTwice.contains(vm) ? Self.correction : usual
        return isAlone && hasLostRecords ? limit + Self.repetition : limit
    }

    private static let correction = 60
    /// As `Inquiry.forgotten`, and the time until the next look.
    private static let repetition = 660
}

extension Invariants {
    func isOff(_ vm: Int) -> Bool { operatorActions.off.contains(vm) }
    func isStartedTwice(_ vm: Int) -> Bool { operatorActions.startedTwice.contains(vm) }

    mutating func takenOff(_ vm: Int) { operatorActions.off.insert(vm) }
    mutating func returned(_ vm: Int) { operatorActions.off.remove(vm) }

    mutating func startedTwice(_ vm: Int) {
        excuse(vm)
        operatorActions.startedTwice.insert(vm)
    }

    /// Checks that an agent starts a VM only if it may be off because its host was down.
    mutating func startedByAgent(_ vm: Int, name: String, on host: HostName, hasBooted: Bool, at: Int64) {
        guard isOff(vm), !hasBooted else { return }
        broken(.stopped, "\(name) was started on \(host)", at: at)
    }

    /// Checks that two agents do not pause the two copies of a VM at the same time.
    mutating func pausedByAgent(_ vm: Int, name: String, on host: HostName, at: Int64) {
        defer { operatorActions.paused[vm] = at }
        guard (runners[vm] ?? 0) == 0, !isOff(vm), let before = operatorActions.paused[vm], at - before < Self.together
        else { return }
        broken(.runsOnce, "\(name) was paused on \(host), too, and runs nowhere", at: at)
    }

    /// Two pauses within this time are decisions about the same two copies, in milliseconds.
    private static let together: Int64 = 10_000

    /// Returns the newest begun order of a VM from or to a host, if it was written since then.
    func newestBegun(_ vm: VMID, on host: HostName, since: Int64) -> MigrationOrder? {
        let orders = asked.values.filter {
            $0.vm == vm && begun.contains($0.id) && ($0.source == host || $0.target == host)
        }
        let newest = orders.max { (submittedAt[$0.id] ?? 0, $0.id) < (submittedAt[$1.id] ?? 0, $1.id) }
        return newest.flatMap { (submittedAt[$0.id] ?? 0) >= since ? $0 : nil }
    }
}
