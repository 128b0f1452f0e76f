// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The CPU that VMs are expected to want over the planning horizon, from their present demand and their history.
///
/// A load that is off its mean is expected to return to it, the faster the less the fleet's loads last
/// (`LoadStatistics`). If they last for hours, the present demand counts. If one slot of five minutes hardly predicts
/// the next, the mean counts: room is kept for deviations, and VMs are not moved after each of them.
struct LoadForecast {
    private let statistics: LoadStatistics
    /// The part of the horizon for which a deviation lasts, 0 to 1.
    let persistence: Double
    /// Mean and variance of all VMs, per VCPU: the expectation for a VM with few observations.
    private let usualMean: Double
    private let usualVariance: Double

    /// Observation time after which a VM's own figures count as much as the fleet's, in seconds.
    private static let untilOwnMean = 30.0
    private static let untilOwnVariance = 900.0

    init(_ snapshot: FleetSnapshot, policy: Policy) {
        statistics = snapshot.statistics
        let lasts = statistics.persistence
        persistence = lasts / (lasts + policy.planning.horizon.inSeconds / 2)
        var vcpus = 0.0
        var mean = 0.0
        var variance = 0.0
        var known = 0.0
        for host in snapshot.hosts {
            for vm in host.latest?.vms ?? [] {
                guard vm.state == .running, let its = statistics.vms[vm.id] else { continue }
                let count = Double(max(1, vm.vcpus ?? 1))
                vcpus += count
                mean += its.mean
                variance += its.variance / (count * count)
                known += 1
            }
        }
        usualMean = vcpus > 0 ? mean / vcpus : 0
        usualVariance = known > 0 ? variance / known : 0
    }

    /// Returns the VM with its present demand replaced by its expected demand.
    func expected(_ vm: VirtualMachine) -> VirtualMachine {
        var vm = vm
        let present = vm.demand.cpuCores
        let rise = vm.peakCores - present
        let count = Double(max(1, vm.vcpus))
        let its = statistics.vms[vm.id]
        let seconds = its?.seconds ?? 0
        func weighed(_ own: Double, _ usual: Double, _ until: Double) -> Double {
            (own * seconds + usual * until) / (seconds + until)
        }
        let mean = weighed(its?.mean ?? 0, usualMean * count, Self.untilOwnMean)
        let variance = weighed(its?.variance ?? 0, usualVariance * count * count, Self.untilOwnVariance)
        vm.presentCores = present
        vm.demand.cpuCores = mean + persistence * (present - mean)
        vm.peakCores = vm.demand.cpuCores + rise * persistence
        vm.cpuVariance = variance * (1 - persistence)
        return vm
    }
}

extension FleetModel {
    /// Returns the fleet with each VM's figures as expected over the horizon.
    ///
    /// `present`: the fleet by its short window.
    func expecting(_ present: FleetModel, _ snapshot: FleetSnapshot, policy: Policy) -> FleetModel {
        let forecast = LoadForecast(snapshot, policy: policy)
        var model = self
        model.persistence = forecast.persistence
        for index in hosts.indices where index < present.hosts.count && hosts[index].name == present.hosts[index].name {
            model.hosts[index].own = present.hosts[index].own
        }
        // Both are in the order of the VMs' ids and come from the same snapshot.
        for (index, vm) in present.vms.enumerated() where index < vms.count && vms[index].id == vm.id {
            let expected = forecast.expected(vm)
            model.vms[index].demand.cpuCores = expected.demand.cpuCores
            model.vms[index].peakCores = expected.peakCores
            model.vms[index].presentCores = expected.presentCores
            model.vms[index].cpuVariance = expected.cpuVariance
        }
        return model
    }
}
