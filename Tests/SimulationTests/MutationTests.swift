// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A core that breaks an invariant on purpose, the invariant, and faults under which the violation appears soon.
struct Proof: Sendable, CustomTestStringConvertible {
    var mutation: Mutation
    var invariant: Violation.Invariant
    var isSealed = false
    /// Whether an operator moves VMs that are off.
    var isOffline = false
    var operatorActs = true
    /// Whether every second VM cannot move.
    var hasImmovable = false
    /// Replace the seed's faults, for each host and minute; `nil`: the seed's own faults.
    var faults: (@Sendable (_ host: Int, _ minute: Int) -> [ScheduledFault])?
    /// Replaces the seed's world.
    var scene: Scene?

    var testDescription: String { mutation.rawValue }

    static let all: [Proof] = [
        // Moves fail at once, and their orders are written again.
        Proof(mutation: .forgetsOrders, invariant: .carriedOutOnce) { host, minute in
            [
                fault(minute, 0, lasts: 60, .migrationFails(host: host, phase: .prepare)),
                fault(minute, 0, lasts: 60, .forgery(host: host)),
            ]
        },
        // libvirt ends a move while the agent is down.
        Proof(mutation: .beginsAgain, invariant: .carriedOutOnce) { host, minute in
            [
                fault(minute, 25, lasts: 8, .agentCrash(host: host)),
                fault(minute, 26, lasts: 5, .libvirtCrash(host: host)),
            ]
        },
        // The disks are full for a moment after each decision: the samples cannot state it in time.
        Proof(mutation: .beginsUnmarked, invariant: .recorded) { host, minute in
            (0..<6).map { fault(minute, 10 * $0, lasts: 4, .diskFull(host: host)) }
        },
        Proof(mutation: .staysSilent, invariant: .ends) { harmless($0, $1) },
        Proof(mutation: .resumesBlindly, invariant: .runsOnce) { host, minute in
            minute == 0 ? [fault(0, 0, lasts: 100, .answerLost(host: host, resumes: false))] : []
        },
        // The target does not have the VM, but a third host runs it.
        Proof(mutation: .ignoresObjections, invariant: .runsOnce, operatorActs: false) { host, minute in
            minute == 0 ? [fault(0, 0, lasts: 100, .startedElsewhere(host: host))] : []
        },
        Proof(mutation: .sparesDuplicates, invariant: .runsOnce, operatorActs: false) { host, minute in
            minute == 0 && host == 0 ? [fault(0, 0, lasts: 100, .answerLost(host: host, resumes: true))] : []
        },
        // The target answers after the doubt has been reported.
        Proof(mutation: .dropsDoubts, invariant: .runsOnce, operatorActs: false) { host, minute in
            guard minute == 0 else { return [] }
            return host == 0
                ? [fault(0, 0, lasts: 100, .handoverLost(host: host))]
                : [fault(0, 35, lasts: 150, .partition(.host(host), .ledger))]
        },
        // A clock that is behind at the agent's start holds back its orders.
        Proof(mutation: .overlooksOrders, invariant: .ends) { host, minute in
            [
                fault(minute, 25, lasts: 8, .agentCrash(host: host)),
                fault(minute, 26, lasts: 30, .clockJump(.host(host), milliseconds: -3_000_000)),
            ]
        },
        Proof(mutation: .keepsQuiet, invariant: .runsOnce, operatorActs: false) { host, minute in
            minute == 0 ? [fault(0, 0, lasts: 100, .handoverLost(host: host))] : []
        },
        // The source crashes after its moves, and the definitions of the VMs return.
        Proof(mutation: .ignoresReturns, invariant: .definitions) { host, minute in
            host < 2 ? [fault(minute, 50, lasts: 5, .hostCrash(host: host))] : []
        },
        // Both copies run, and the source's agent dies before it asks.
        Proof(mutation: .keepsCopies, invariant: .runsOnce, operatorActs: false) { host, minute in
            minute == 0 && host == 0 ? [fault(0, 0, lasts: 290, .agentDies(host: host))] : []
        },
        // The source crashes just before it could report its move, and stays away.
        Proof(mutation: .ignoresEnds, invariant: .released) { host, minute in
            minute == 0 && host == 0 ? [fault(0, 0, lasts: 290, .hostLost(host: host, phase: .confirm))] : []
        },
        Proof(mutation: .losesAutostart, invariant: .autostart) { harmless($0, $1) },
        Proof(mutation: .leavesGatesOpen, invariant: .gates),
        Proof(mutation: .forgetsLeaks, invariant: .closed) { host, minute in
            [fault(minute, 0, lasts: 60, .leak(host: host))]
        },
        // A controller freezes with its orders, and writes them after another one has taken over.
        Proof(mutation: .ignoresEpochs, invariant: .oneController) { host, minute in
            host == 0 ? [5, 35].map { fault(minute, $0, lasts: 8, .controllerFrozen) } : []
        },
        Proof(mutation: .restoresUnreleased, invariant: .runsOnce, isSealed: true) { host, minute in
            // The source does not learn that its offer is accepted.
            minute == 0 && host < 2 ? [fault(0, 27, lasts: 270, .partition(.host(host), .ledger))] : []
        },
        Proof(mutation: .leavesDefinitions, invariant: .runsOnce, isSealed: true) { host, minute in
            [fault(minute, 0, lasts: 60, .operatorStartsOff(host: host))]
        },
        Proof(mutation: .takesBackReleased, invariant: .runsOnce, isSealed: true),
        // The target declines after an operator has started the VM on a third host.
        Proof(mutation: .takesBackUnasked, invariant: .runsOnce, isSealed: true, operatorActs: false) { host, minute in
            minute == 0 && host == 0 ? [fault(0, 0, lasts: 290, .releaseLost(host: host))] : []
        },
        // The answer to each move is lost, and both hosts have the definition.
        Proof(mutation: .keepsDefinitions, invariant: .definitions, isOffline: true) { host, minute in
            [fault(minute, 0, lasts: 60, .answerLost(host: host, resumes: false))]
        },
        Proof(mutation: .ordersBlockedHosts, invariant: .recorded) { host, minute in
            minute == 0 ? [fault(0, 0, lasts: 290, .diskFull(host: host))] : []
        },
        // The hosts have written samples for longer than a claim must be late by.
        Proof(mutation: .believesClaims, invariant: .claims) { host, minute in
            minute == 2 && host == 0 ? [fault(2, 0, lasts: 60, .claims(host: host))] : []
        },
        Proof(mutation: .ignoresLimits, invariant: .limits),
        Proof(mutation: .forgetsMoves, invariant: .noReturn),
        Proof(mutation: .neverSettles, invariant: .settles),
        // The source boots with a clock that is ahead, and then corrected.
        Proof(mutation: .ignoresClockSteps, invariant: .runsOnce, operatorActs: false) {
            bootsWrong($0, $1, milliseconds: 7_200_000)
        },
        // The targets' libvirtd is stuck while memory is sent, and again just after the moves have ended.
        Proof(mutation: .takesSilenceForAbsence, invariant: .runsOnce, operatorActs: false) { host, minute in
            host == 0
                ? [fault(minute, 0, lasts: 60, .answerLost(host: host, resumes: true))]
                : [
                    fault(minute, 0, lasts: 10, .libvirtStuck(host: host)),
                    fault(minute, 11, lasts: 40, .libvirtStuck(host: host)),
                ]
        },
        // An agent is replaced by an earlier version in the middle of its moves.
        Proof(mutation: .overlooksUnknownSteps, invariant: .autostart) { host, minute in
            [
                fault(minute, 0, lasts: 60, .newerVersion(host: host)),
                fault(minute, 25, lasts: 8, .agentCrash(host: host)),
            ]
        },
        // The source returns after its move, and libvirt starts what starts with the host.
        Proof(mutation: .keepsAutostart, invariant: .runsOnce) { host, minute in
            minute == 0 && host == 0 ? [fault(0, 0, lasts: 100, .hostLost(host: host, phase: .confirm))] : []
        },
        // An operator stops VMs that are moving.
        Proof(mutation: .startsStopped, invariant: .stopped) { host, minute in
            (0..<3).map { fault(minute, 20 * $0 + 5, lasts: 14, .operatorStops(host: host)) }
        },
        Proof(mutation: .ordersImmovable, invariant: .movable, hasImmovable: true) { harmless($0, $1) },
        // The targets lose power before or after their agents have synced the definitions.
        Proof(mutation: .endsUnconfirmed, invariant: .kept) { host, minute in
            minute == 0 ? [fault(0, 0, lasts: 100, .targetPowerCut(host: host))] : []
        },
        Proof(mutation: .pinsForever, invariant: .freed, scene: .silentTarget),
        Proof(mutation: .withdrawsNothing, invariant: .definitions, scene: .startedDuringMove),
        Proof(mutation: .sharesPaths, invariant: .onePath, scene: .onePathTwice),
    ]

    /// Other faults under which a mutation is caught, too.
    static let more: [Proof] = [
        Proof(mutation: .ignoresReturns, invariant: .runsOnce, operatorActs: false) { host, minute in
            (0..<3).map { fault(minute, 20 * $0, lasts: 1, .operatorStartsCopy(host: host)) }
        },
        Proof(mutation: .overlooksOrders, invariant: .runsOnce, operatorActs: false) {
            bootsWrong($0, $1, milliseconds: -7_200_000)
        },
    ]

    /// The first host crashes in a move, and boots with a wrong clock before anyone ends its order.
    private static func bootsWrong(_ host: Int, _ minute: Int, milliseconds: Int64) -> [ScheduledFault] {
        guard host == 0, minute == 0 else { return [] }
        return [
            fault(0, 0, lasts: 70, .hostLost(host: host, phase: .memory)),
            fault(0, 75, lasts: 100, .wrongClockAtBoot(host: host, milliseconds: milliseconds)),
        ]
    }

    /// A fault that breaks nothing; with faults, the end of a run is checked.
    private static func harmless(_ host: Int, _ minute: Int) -> [ScheduledFault] {
        host == 0 && minute == 0 ? [fault(0, 0, lasts: 10, .ledgerDuplicates)] : []
    }

    private static func fault(_ minute: Int, _ second: Int, lasts: Int64, _ fault: Fault) -> ScheduledFault {
        ScheduledFault(at: .seconds(60 * minute + second), lasts: .seconds(lasts), fault: fault)
    }

    func settings(seed: UInt64, isMutated: Bool) -> SimulationSettings {
        var settings = Torture(mutations: isMutated ? [mutation] : []).settings(seed: seed)
        settings.improvement = 200
        settings.operatorActs = operatorActs
        settings.policy.channels = isSealed ? [.sealed] : [.ipsec]
        if hasImmovable { settings.immovableVMs = Set(stride(from: 0, to: settings.placement.count, by: 2)) }
        if let faults {
            settings.faults = (0..<5).flatMap { minute in
                settings.hosts.indices.flatMap { faults($0, minute) }
            }
        }
        if isOffline { Torture.addOfflineMoves(to: &settings) }
        return settings
    }

    func violation(seed: UInt64, isMutated: Bool) -> Violation? {
        guard let scene else { return SimulationTests.violation(of: settings(seed: seed, isMutated: isMutated)) }
        return scene.violation(mutations: isMutated ? [mutation] : [])
    }

    /// The invariant breaks with one of these seeds.
    static let seeds = UInt64(1)...12
}

func violation(of settings: SimulationSettings) -> Violation? {
    do throws(Violation) {
        try World(settings).run()
        return nil
    } catch { return error }
}

/// The checks can fail: each invariant is broken by the core that is mutated for it, and by no other.
struct MutationTests {
    @Test(arguments: Proof.all + Proof.more)
    func `a core that breaks an invariant is caught`(_ proof: Proof) {
        for seed in Proof.seeds {
            // The unmutated core under the same faults must keep the same invariants.
            let sound = proof.violation(seed: seed, isMutated: false)
            #expect(sound == nil, "seed \(seed), not mutated: \(sound?.description ?? "")")
            guard let broken = proof.violation(seed: seed, isMutated: true) else { continue }
            print("\(proof.mutation.rawValue), seed \(seed): \(broken)")
            #expect(broken.invariant == proof.invariant, "seed \(seed): \(broken)")
            return
        }
        Issue.record("\(proof.mutation.rawValue) broke nothing with the seeds \(Proof.seeds)")
    }

    @Test func `every mutation and every invariant has a proof`() {
        #expect(Proof.all.map(\.mutation) == Mutation.allCases)
        #expect(Set(Proof.all.map(\.invariant)) == Set(Violation.Invariant.allCases))
    }
}
