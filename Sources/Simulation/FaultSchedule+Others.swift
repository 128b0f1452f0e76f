// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Faults of operators, clocks at boot, and a libvirtd that is stuck.
///
/// They have random numbers of their own: the other faults of a seed stay the same.
extension ScheduledFault {
    /// The mean interval between two of them, as a multiple of that between two of the others.
    static let meanOfOthers = 3.0

    /// Returns random faults at random times, which all end by `last` (in milliseconds), as the others do.
    static func others(every mean: Double, hosts: Int, until last: Int64, seed: UInt64) -> [ScheduledFault] {
        var random = SplitMix64(seed: seed ^ 0x07e125)
        var faults: [ScheduledFault] = []
        var at = Int64(0)
        while true {
            at += Int64(random.below(Int(2000 * mean)) + 1)
            guard at < last else { return faults }
            let lasts = Int64(random.below(random.below(3) == 0 ? 120_000 : 30_000) + 1)
            let fault = Fault.anyOther(hosts: hosts, random: &random)
            // A clock is wrong for some time after the boot.
            let isBoot = if case .wrongClockAtBoot = fault { true } else { false }
            faults.append(
                ScheduledFault(
                    at: .milliseconds(at),
                    lasts: .milliseconds(min(isBoot ? lasts + 60_000 : lasts, last - at)),
                    fault: fault
                )
            )
        }
    }
}

extension Fault {
    static func anyOther(hosts: Int, random: inout SplitMix64) -> Fault {
        let host = random.below(hosts)
        switch random.below(16) {
        case 0, 1, 2: return .operatorStops(host: host)
        case 3, 4: return .operatorPauses(host: host)
        case 5, 6, 7: return .operatorStartsCopy(host: host)
        case 8: return .operatorResumes(host: host)
        case 9, 10:
            let size = Int64(random.below(random.below(3) == 0 ? 21_600_000 : 1_200_000))
            return .wrongClockAtBoot(host: host, milliseconds: random.below(2) == 0 ? size : -size)
        case 11, 12, 13: return .libvirtStuck(host: host)
        default: return .newerVersion(host: host)
        }
    }

    /// Whether the agents resolve its consequences without an operator.
    ///
    /// If a host crashes, a VM can be off on two hosts; then only an operator can decide where it belongs.
    var needsNoOperator: Bool {
        switch self {
        case .hostCrash, .hostLost, .targetLost, .targetPowerCut, .hostGone, .wrongClockAtBoot, .operatorStops,
            .operatorPauses, .operatorStartsCopy, .operatorResumes, .startedElsewhere, .operatorStartsOff, .releaseLost,
            .claims:
            false
        case .agentCrash, .controllerCrash, .controllerFrozen, .libvirtCrash, .partition, .ledgerOut, .ledgerFull,
            .ledgerSlow, .ledgerDuplicates, .ledgerUnsure, .ledgerLoss, .clockJump, .migrationFails, .migrationHangs,
            .answerLost, .agentDies, .handoverLost, .libvirtStuck, .newerVersion, .leak, .refusedReports, .lateCalls,
            .diskFull, .redefinition, .forgery, .lie:
            true
        }
    }
}
