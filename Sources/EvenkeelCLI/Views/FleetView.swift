// SPDX-License-Identifier: Apache-2.0
internal import HostOS
package import Balancing
import Controller
package import Coordination
package import Fleet
package import Ledger
import Settings

/// The fleet according to the ledger, as text and as JSON.
package struct FleetView: Encodable, Sendable {
    package struct Host: Encodable, Sendable {
        package var name: HostName
        package var verdict: Judgement.Verdict
        /// The reason's code.
        package var code: String
        package var reason: String
        package var sample: LoadSample?
        /// Whether it is in maintenance.
        package var isInMaintenance: Bool
        /// If it is in maintenance: the VMs that are off there, which no plan moves.
        package var inactive: [InactiveVM]?
    }

    package struct Move: Encodable, Sendable {
        package var order: MigrationOrder
        package var stage: Stage
        package var changedAt: Instant
        package var progress: MigrationProgress?
        package var outcome: MigrationOutcome?
        package var failure: OrderFailure?
        package var evidence: Evidence?
        /// The record that ended the order in place of its source.
        package var statedEnd: StatedEnd?
        /// The order for which it waits: its move uses the path between the two hosts.
        package var waitsFor: OrderID?
        /// Whether its source may still search for a second copy.
        var mayBeSearched = false

        private enum CodingKeys: String, CodingKey {
            case order, stage, changedAt, progress, outcome, failure, evidence, statedEnd, waitsFor
        }

        /// What the order waits for, as text.
        package var waiting: String? {
            waitsFor.map { "waits for order \($0), which uses the path to \(order.target)" }
        }
    }

    /// The stage of an order, as shown to operators.
    package enum Stage: String, Encodable, Sendable {
        case submitted, accepted, prepared, running, done, failed
        /// Not started in time; possibly not reported by any agent.
        case expired

        package var hasEnded: Bool { self == .done || self == .failed || self == .expired }

        init(of state: OrderState, at instant: Instant, policy: Policy) {
            let isTooLate =
                !state.hasUnseenBeginning && instant > state.order.latestBeginning + policy.staleAfter
            self =
                switch state.stage {
                case .submitted: isTooLate ? .expired : .submitted
                case .accepted: isTooLate ? .expired : .accepted
                case .prepared: isTooLate ? .expired : .prepared
                case .running: .running
                case .done: .done
                case .failed: .failed
                }
        }
    }

    package var at: Instant
    package var hosts: [Host]
    package var moves: [Move]
    /// Channels that leaks have closed.
    package var closed: [ClosedChannels.Closure]
    package var warnings: [String]
    /// Ledger lines that were rejected, by stream, kind and writer.
    package var ledger: [LedgerRemarks.Entry]
    /// Which host has a VM, if several list it; not part of the JSON.
    package var custody: Custody

    private enum CodingKeys: CodingKey { case at, hosts, moves, closed, warnings, ledger }

    /// The targets of the newest moves that are done.
    package var arrivals: [VMID: HostName] {
        let done = moves.filter { $0.stage == .done }.sorted { $0.changedAt < $1.changedAt }
        return Dictionary(done.map { ($0.order.vm, $0.order.target) }, uniquingKeysWith: { $1 })
    }

    /// Reads the present from the ledger: the newest samples, and orders that are unfinished or ended lately.
    ///
    /// `hardware` is the known hardware of the hosts, against which their claims are checked.
    static func read(
        _ ledger: any FleetLedger,
        settings: Settings,
        hardware: [HostName: EnrolledHardware] = [:]
    ) async throws -> FleetView {
        var core = ControllerCore(policy: settings.policy)
        _ = core.handle(.enrolled(hardware))
        var follower = LedgerFollower(ledger, .present(settings.policy, thinned: true, at: .now))
        try await follower.pull(into: &core)
        return FleetView(core, at: .now, remarks: follower.remarks)
    }

    package init(_ core: ControllerCore, at instant: Instant, remarks: LedgerRemarks = LedgerRemarks()) {
        at = instant
        let snapshot = core.snapshot(at: instant)
        ledger = remarks.entries
        custody = snapshot.custody
        warnings = snapshot.runningTwice(policy: core.policy).map(\.description) + core.doubts.map(\.description)
        hosts = zip(snapshot.hosts, snapshot.judgements(policy: core.policy)).map { host, judgement in
            let isInMaintenance = core.policy.maintenance.contains(host.name)
            return Host(
                name: host.name,
                verdict: judgement.verdict,
                code: judgement.reason.code,
                reason: "\(judgement.reason)",
                sample: host.latest,
                isInMaintenance: isInMaintenance,
                inactive: isInMaintenance ? snapshot.inactiveVMs(on: host.name) : nil
            )
        }
        closed = core.closed.closures
        // An agent reports no wait: by the same records, its order can only be waiting.
        let users = Dictionary(
            core.orders.values.filter(\.usesPath).map { ($0.move.path, $0.order.id) },
            uniquingKeysWith: min
        )
        moves = core.orders.values
            .sorted { ($0.order.issuedAt, $0.order.id) < ($1.order.issuedAt, $1.order.id) }
            .map { state in
                let stage = Stage(of: state, at: instant, policy: core.policy)
                let waits = stage == .submitted && state.order.channel != .sealed
                return Move(
                    order: state.order,
                    stage: stage,
                    changedAt: state.changedAt,
                    progress: state.progress,
                    outcome: state.outcome,
                    failure: state.failure,
                    evidence: state.evidence,
                    statedEnd: state.statedEnd,
                    waitsFor: waits ? users[state.move.path] : nil,
                    mayBeSearched: state.mayLeaveSearch && !state.isSearchEnded
                )
            }
    }
}
