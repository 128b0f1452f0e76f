// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A core that breaks a promise on purpose, the promise, and the faults under which it shows soon.
struct Proof: Sendable, CustomTestStringConvertible {
    var mutation: Mutation
    var promise: Violation.Promise
    var isSealed = false
    /// In place of the seed's own faults, for each host and each minute; `nil`: the seed's own.
    var faults: (@Sendable (_ host: Int, _ minute: Int) -> [ScheduledFault])?

    var testDescription: String { mutation.rawValue }

    static let all: [Proof] = [
        // Moves fail at once, and their orders are written again.
        Proof(mutation: .forgetsOrders, promise: .carriedOutOnce) { host, minute in
            [
                fault(minute, 0, lasts: 60, .migrationFails(host: host, phase: .prepare)),
                fault(minute, 0, lasts: 60, .forgery(host: host)),
            ]
        },
        // libvirt ends a move while the agent is down.
        Proof(mutation: .beginsAgain, promise: .carriedOutOnce) { host, minute in
            [
                fault(minute, 25, lasts: 8, .agentCrash(host: host)),
                fault(minute, 26, lasts: 5, .libvirtCrash(host: host)),
            ]
        },
        Proof(mutation: .keepsQuiet, promise: .ends),
        Proof(mutation: .resumesBlindly, promise: .runsOnce) { host, minute in
            minute == 0 ? [fault(0, 0, lasts: 100, .answerLost(host: host, resumes: false))] : []
        },
        Proof(mutation: .sparesTwins, promise: .runsOnce) { host, minute in
            minute == 0 && host == 0 ? [fault(0, 0, lasts: 100, .answerLost(host: host, resumes: true))] : []
        },
        Proof(mutation: .leavesGatesOpen, promise: .gates),
        Proof(mutation: .forgetsLeaks, promise: .closed) { host, minute in
            [fault(minute, 0, lasts: 60, .leak(host: host))]
        },
        Proof(mutation: .restoresUnreleased, promise: .runsOnce, isSealed: true) { host, minute in
            // The source does not hear that its offer is taken up.
            minute == 0 && host < 2 ? [fault(0, 27, lasts: 270, .partition(.host(host), .ledger))] : []
        },
        Proof(mutation: .takesBackReleased, promise: .runsOnce, isSealed: true),
        Proof(mutation: .ignoresLimits, promise: .limits),
        Proof(mutation: .forgetsMoves, promise: .noReturn),
        Proof(mutation: .neverSettles, promise: .settles),
    ]

    private static func fault(_ minute: Int, _ second: Int, lasts: Int64, _ fault: Fault) -> ScheduledFault {
        ScheduledFault(at: .seconds(60 * minute + second), lasts: .seconds(lasts), fault: fault)
    }

    func settings(seed: UInt64, isMutated: Bool) -> SimulationSettings {
        var settings = Torture(mutations: isMutated ? [mutation] : []).settings(seed: seed)
        settings.improvement = 200
        settings.policy.channels = isSealed ? [.sealed] : [.ipsec]
        guard let faults else { return settings }
        settings.faults = (0..<5).flatMap { minute in
            settings.hosts.indices.flatMap { faults($0, minute) }
        }
        return settings
    }

    /// It takes no more than these until the promise breaks.
    static let seeds = UInt64(1)...12
}

func violation(of settings: SimulationSettings) -> Violation? {
    do throws(Violation) {
        try World(settings).run()
        return nil
    } catch { return error }
}

/// The checks can fail: each promise is broken by a core that is made to break it, and by no other.
struct MutationTests {
    @Test(arguments: Proof.all)
    func aCoreThatBreaksAPromiseIsCaught(_ proof: Proof) {
        for seed in Proof.seeds {
            // What the core as it is in production does under the same faults is held against the same promises.
            let sound = violation(of: proof.settings(seed: seed, isMutated: false))
            #expect(sound == nil, "seed \(seed), not mutated: \(sound?.description ?? "")")
            guard let broken = violation(of: proof.settings(seed: seed, isMutated: true)) else { continue }
            print("\(proof.mutation.rawValue), seed \(seed): \(broken)")
            #expect(broken.promise == proof.promise, "seed \(seed): \(broken)")
            return
        }
        Issue.record("\(proof.mutation.rawValue) broke nothing with the seeds \(Proof.seeds)")
    }

    @Test func everyMutationAndEveryPromiseHasAProof() {
        #expect(Proof.all.map(\.mutation) == Mutation.allCases)
        #expect(Set(Proof.all.map(\.promise)) == Set(Violation.Promise.allCases))
    }
}
