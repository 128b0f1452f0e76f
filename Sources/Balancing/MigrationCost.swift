// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What a migration takes.
enum MigrationCost {
    /// What each migration is reckoned to cost beside its transfer, in seconds of transfer: checks, escort, downtime,
    /// and the risk that every move is.
    static let overhead = 75.0

    /// How long the transfer of a pre-copy migration takes, in seconds.
    ///
    /// Each round sends what was dirtied in the round before, so the rounds are a geometric series: memory / bandwidth
    /// / (1 - dirty rate / bandwidth). At a dirty rate near the bandwidth it does not converge; QEMU then slows the
    /// guest down (auto-converge), which is taken as five times the memory. Source of the series: Akoush et al.,
    /// "Predicting the Performance of Virtual Machine Migration", MASCOTS 2010.
    static func seconds(_ vm: VirtualMachine, bandwidth: Double) -> Double {
        let ratio = dirtyRatio(vm, bandwidth: bandwidth)
        return Double(vm.demand.memoryBytes) / bandwidth / (1 - ratio)
    }

    /// How much of the bandwidth the guest's dirtying takes, at most `mostDirty`.
    static func dirtyRatio(_ vm: VirtualMachine, bandwidth: Double) -> Double {
        min((vm.dirtyBytesPerSecond ?? 0) / bandwidth, mostDirty)
    }

    static let mostDirty = 0.8
}
