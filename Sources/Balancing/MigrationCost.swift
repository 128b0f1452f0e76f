// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The cost of a migration.
enum MigrationCost {
    /// The cost of each migration beyond its transfer (checks, escort, downtime, risk), in seconds of transfer.
    static let overhead = 75.0

    /// Returns how long the transfer of a pre-copy migration takes, in seconds.
    ///
    /// Each round sends the memory dirtied in the round before. The rounds are a geometric series: memory / bandwidth /
    /// (1 - dirty rate / bandwidth). At a dirty rate near the bandwidth it does not converge. QEMU then slows the guest
    /// down (auto-converge), which is assumed to cost five times the memory. Source of the series: Akoush et al.,
    /// "Predicting the Performance of Virtual Machine Migration", MASCOTS 2010.
    static func seconds(_ vm: VirtualMachine, bandwidth: Double) -> Double {
        let ratio = dirtyRatio(vm, bandwidth: bandwidth)
        return Double(vm.demand.memoryBytes) / bandwidth / (1 - ratio)
    }

    /// Returns the guest's dirty rate as a share of the bandwidth, at most `mostDirty`.
    static func dirtyRatio(_ vm: VirtualMachine, bandwidth: Double) -> Double {
        min((vm.dirtyBytesPerSecond ?? 0) / bandwidth, mostDirty)
    }

    static let mostDirty = 0.8
}
