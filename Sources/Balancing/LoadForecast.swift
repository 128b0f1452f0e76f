// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What VMs are expected to want over the planning horizon, from what they want now and what they have wanted so far.
///
/// A load that is off its mean is drawn back to it, the faster the less the fleet's loads last (`LoadStatistics`). Where
/// they last for hours, the present counts; where each five minutes have little to do with the next, the mean does, and
/// room is kept for the deviations instead of running after them.
struct LoadForecast {
    private let statistics: LoadStatistics
    /// How much of the horizon a deviation lasts, 0 to 1.
    let persistence: Double
    /// Of all VMs together, per VCPU: what is expected of one that was hardly watched.
    private let usualMean: Double
    private let usualVariance: Double

    /// A VM that was watched for so long is believed as much as the others, in seconds.
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

    /// A VM whose `demand` is what it wants at present becomes one whose `demand` is what is expected of it.
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
    /// The same fleet with each VM's figures as they are expected over the horizon.
    ///
    /// `present`: the fleet by its short window.
    func expecting(_ present: FleetModel, _ snapshot: FleetSnapshot, policy: Policy) -> FleetModel {
        let forecast = LoadForecast(snapshot, policy: policy)
        var model = self
        model.persistence = forecast.persistence
        for index in hosts.indices where index < present.hosts.count && hosts[index].name == present.hosts[index].name {
            model.hosts[index].own = present.hosts[index].own
        }
        // Both are in the order of the VMs' ids, of the same snapshot.
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
