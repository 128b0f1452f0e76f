// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The common part of the two threshold rules: a host's load is the higher of its CPU and memory shares.
private struct Load {
    /// The load above which a host is heavy.
    let upper: Double

    func load(_ host: Int, in fleet: BaselineFleet) -> Double {
        max(fleet.cpuShare(of: host), fleet.memoryShare(of: host))
    }

    /// Returns the movable VMs of a host that use its scarcer resource, the largest users first.
    func candidates(on host: Int, in plan: BaselinePlan) -> [Int] {
        let fleet = plan.fleet
        let byCPU = fleet.cpuShare(of: host) >= fleet.memoryShare(of: host)
        let ranked = plan.movable(on: host).map { vm in
            (key: byCPU ? fleet.vms[vm].cores : Double(fleet.vms[vm].memoryBytes), vm: vm)
        }
        return ranked.filter { $0.key > 0 }.sorted { ($1.key, $0.vm) < ($0.key, $1.vm) }.map(\.vm)
    }

    /// Returns whether a host can take a VM without becoming heavy.
    func isLightEnough(_ target: Int, for vm: Int, in fleet: BaselineFleet) -> Bool {
        guard fleet.takes(vm, target) else { return false }
        let cpu = fleet.cpuShare(of: target) + fleet.vms[vm].cores / fleet.hosts[target].cores
        let memory =
            fleet.memoryShare(of: target) + Double(fleet.vms[vm].memoryBytes) / Double(fleet.hosts[target].memoryBytes)
        return max(cpu, memory) <= upper
    }

    func heaviestFirst(_ hosts: [Int], in fleet: BaselineFleet) -> [Int] {
        hosts.map { (key: load($0, in: fleet), host: $0) }.sorted { ($1.key, $0.host) < ($0.key, $1.host) }.map(\.host)
    }
}

/// Tamrakar's rule: each host above the upper threshold gives a VM to the lightest host below the lower one.
///
/// From *Security in Live Migration of Virtual Machine with Automated Load Balancing*, IJERT 3(12), 2014: agents log
/// loads, and a server orders moves from heavy to light hosts. Each heavy host gives one VM per decision. The paper
/// does not specify the VM. Here it is the largest one (in CPU or memory, whichever is scarcer on the host) that does
/// not make the target heavy. The two thresholds are those of this project.
public struct ThresholdBaseline: Baseline {
    public let name = "threshold"
    public let summary = "each heavy host gives one VM to the lightest light host (Tamrakar, IJERT 3(12), 2014)"
    public let usualInterval: Duration? = nil
    private let upper: Double
    private let lower: Double

    public init(upper: Double = 0.80, lower: Double = 0.60) {
        self.upper = upper
        self.lower = lower
    }

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        let rule = Load(upper: upper)
        let active = fleet.activeHosts
        var plan = BaselinePlan(fleet)
        let heavy = active.filter { rule.load($0, in: fleet) > upper }
        for source in rule.heaviestFirst(heavy, in: fleet) {
            var lightest: (load: Double, host: Int)?
            for host in active where host != source {
                let load = rule.load(host, in: plan.fleet)
                if load < lower, load < lightest?.load ?? .infinity { lightest = (load, host) }
            }
            guard let target = lightest?.host else { break }
            let vm = rule.candidates(on: source, in: plan)
                .first { rule.isLightEnough(target, for: $0, in: plan.fleet) }
            if let vm { plan.move(vm, to: target) }
        }
        return plan.moves
    }
}

/// Receiver-initiated sharing: each light host takes a VM from the most loaded host.
///
/// From Eager, Lazowska and Zahorjan, *A Comparison of Receiver-Initiated and Sender-Initiated Adaptive Load Sharing*,
/// Performance Evaluation 6, 1986. There a receiver probes a few random hosts and waits for work to end. Here all loads
/// are known: it asks the most loaded host, and running VMs move. Each light host takes one VM per decision.
public struct PullBaseline: Baseline {
    public let name = "pull"
    public let summary = "light hosts take from the most loaded one (Eager, Lazowska, Zahorjan, 1986)"
    public let usualInterval: Duration? = nil
    private let upper: Double
    private let lower: Double

    public init(upper: Double = 0.80, lower: Double = 0.60) {
        self.upper = upper
        self.lower = lower
    }

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        let rule = Load(upper: upper)
        let active = fleet.activeHosts
        var plan = BaselinePlan(fleet)
        let light = active.filter { rule.load($0, in: fleet) < lower }
        for target in rule.heaviestFirst(light, in: fleet).reversed() {
            var heaviest: (load: Double, host: Int)?
            for host in active where host != target {
                let load = rule.load(host, in: plan.fleet)
                if load > upper, load > heaviest?.load ?? 0 { heaviest = (load, host) }
            }
            guard let source = heaviest?.host else { break }
            let vm = rule.candidates(on: source, in: plan)
                .first { rule.isLightEnough(target, for: $0, in: plan.fleet) }
            if let vm { plan.move(vm, to: target) }
        }
        return plan.moves
    }
}
