// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The frequency of faults in a run; `others` of operators, clocks and libvirt come in addition, a third as often.
public enum FaultLevel: String, Sendable, CaseIterable {
    case none
    /// About one fault a day for each host.
    case light
    /// About one fault an hour for each host.
    case heavy
    /// A fault every half minute, whatever the fleet's size.
    case torture

    /// Returns the mean interval between two faults, in seconds.
    func seconds(hosts: Int) -> Double? {
        switch self {
        case .none: nil
        case .light: 86400 / Double(max(1, hosts))
        case .heavy: 3600 / Double(max(1, hosts))
        case .torture: 30
        }
    }
}

extension ScheduledFault {
    /// Returns random faults at random times, which all end by `end`.
    ///
    /// `refusedReports`, `lateCalls`, `operatorStartsOff`, `releaseLost`, `startedElsewhere`, `agentDies`, `claims`,
    /// `targetPowerCut`, `hostLost`, `targetLost` and `hostGone` do not occur.
    public static func schedule(
        _ level: FaultLevel,
        hosts: Int,
        until end: Duration,
        seed: UInt64
    ) -> [ScheduledFault] {
        guard let mean = level.seconds(hosts: hosts), hosts > 0 else { return [] }
        var random = SplitMix64(seed: seed ^ 0x5eed)
        var faults: [ScheduledFault] = []
        let last = end.wholeMilliseconds
        var at = Int64(0)
        while true {
            at += Int64(random.below(Int(2000 * mean)) + 1)
            guard at < last else { break }
            let lasts = Int64(random.below(random.below(4) == 0 ? 120_000 : 20_000) + 1)
            faults.append(
                ScheduledFault(
                    at: .milliseconds(at),
                    lasts: .milliseconds(min(lasts, last - at)),
                    fault: Fault.any(hosts: hosts, random: &random)
                )
            )
        }
        faults += others(every: mean * meanOfOthers, hosts: hosts, until: last, seed: seed)
        return faults.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }
}

extension Fault {
    static func any(hosts: Int, random: inout SplitMix64) -> Fault {
        let host = random.below(hosts)
        let phase = MigrationPhase.allCases[random.below(MigrationPhase.allCases.count)]
        switch random.below(30) {
        case 0, 1: return .agentCrash(host: host)
        case 2, 3: return .controllerCrash
        case 4, 5: return .libvirtCrash(host: host)
        case 6: return .hostCrash(host: host)
        case 7, 8:
            return .partition(.host(host), hosts > 1 ? .host((host + 1 + random.below(hosts - 1)) % hosts) : .ledger)
        case 9: return .partition(.host(host), .ledger)
        case 10: return .partition(.controller, .ledger)
        case 11: return .ledgerOut
        case 12: return .ledgerFull
        case 13: return .ledgerSlow(milliseconds: 20_000)
        case 14: return .ledgerDuplicates
        case 15: return .ledgerUnsure
        case 16: return .ledgerLoss
        case 17:
            let size = Int64(random.below(random.below(4) == 0 ? 3_600_000 : 20_000))
            let party: Party = random.below(4) == 0 ? .controller : .host(host)
            return .clockJump(party, milliseconds: random.below(2) == 0 ? size : -size)
        case 18, 19: return .migrationFails(host: host, phase: phase)
        case 20: return .migrationHangs(host: host)
        case 21: return .answerLost(host: host, resumes: random.below(2) == 0)
        case 22: return .forgery(host: host)
        case 23, 24: return .leak(host: host)
        case 25: return .redefinition(host: host)
        case 26: return .handoverLost(host: host)
        case 27: return .diskFull(host: host)
        case 28: return .controllerFrozen
        default: return .lie(host: host)
        }
    }
}

extension SimulationSettings {
    /// Adds faults until the end, and after it the time that the fleet has to settle.
    public mutating func add(_ level: FaultLevel) {
        faults = ScheduledFault.schedule(level, hosts: hosts.count, until: duration, seed: seed)
        guard !faults.isEmpty else { return }
        measured = duration
        duration += Invariants.settlingTime(policy) + Invariants.quiet(policy) + .seconds(60)
    }
}
