// SPDX-License-Identifier: Apache-2.0
import HostOS
import Controller
import Coordination
import Fleet
import Ledger
import Settings

/// The mesh as the agents report it, with the evidence of the last move on each path.
struct MeshView: Encodable, Sendable {
    struct Pair: Encodable, Sendable {
        var host: HostName
        /// When the host wrote it.
        var at: Instant
        var tunnel: TunnelStatus
        var lastMove: LastMove?
    }

    struct LastMove: Encodable, Sendable {
        var order: OrderID
        var at: Instant
        var evidence: Evidence
    }

    var at: Instant
    var pairs: [Pair]
    /// Hosts without a recent report of their tunnels.
    var silent: [HostName]

    /// Whether every host has reported, and every tunnel is up.
    var isWhole: Bool { silent.isEmpty && pairs.allSatisfy(\.tunnel.isUp) }

    /// Maximum age of a report of tunnels; agents write one every 20 s.
    private static let freshness: Duration = .seconds(90)

    static func read(_ ledger: any FleetLedger, settings: Settings) async throws -> MeshView {
        var core = ControllerCore(policy: settings.policy)
        // The last move of each pair of hosts may be long ago.
        let (now, year) = (Instant.now, Duration.seconds(365 * 86400))
        var follower = LedgerFollower(ledger, .recent(ended: year, samples: freshness, thinned: false, at: now))
        var samples: [LoadSample] = []
        try await follower.pull(into: &core, seen: { samples.append($0) })
        let moves = FleetView(core, at: .now).moves
        return MeshView(samples: samples, moves: moves, hosts: settings.inventory, at: .now)
    }

    init(samples: [LoadSample], moves: [FleetView.Move], hosts: Inventory, at now: Instant) {
        at = now
        var latest: [HostName: (at: Instant, tunnels: [TunnelStatus])] = [:]
        for sample in samples {
            guard let tunnels = sample.tunnels, now - sample.at <= Self.freshness,
                latest[sample.host].map({ $0.at < sample.at }) ?? true
            else { continue }
            latest[sample.host] = (sample.at, tunnels)
        }
        var last: [Path: LastMove] = [:]
        for move in moves.sorted(by: { $0.changedAt < $1.changedAt }) {
            guard let evidence = move.evidence else { continue }
            last[Path(source: move.order.source, target: move.order.target)] = LastMove(
                order: move.order.id,
                at: move.changedAt,
                evidence: evidence
            )
        }
        pairs = latest.sorted { $0.key < $1.key }.flatMap { host, seen in
            seen.tunnels.sorted { $0.peer < $1.peer }.map {
                Pair(host: host, at: seen.at, tunnel: $0, lastMove: last[Path(source: host, target: $0.peer)])
            }
        }
        silent = hosts.hosts.map(\.name).filter { latest[$0] == nil }.sorted()
    }

    var text: String {
        let table = TextTable(
            ["FROM", "TO", "STATE", "SUITE", "MODE", "ESP", "AGE", "REKEY IN", "OUT", "IN", "LAST MOVE", "EVIDENCE"],
            pairs.map(row),
            empty: "No host has reported its tunnels in the last \(Int(Self.freshness.inSeconds)) s."
        )
        let missing = silent.map {
            "\($0): no report in the last \(Int(Self.freshness.inSeconds)) s; is evenkeel-agent running there?"
        }
        return ([table.text] + missing).joined(separator: "\n")
    }

    private func row(_ pair: Pair) -> [String] {
        let tunnel = pair.tunnel
        func age(_ seconds: Int?) -> String { seconds.map { "\($0) s" } ?? "-" }
        func size(_ counters: TrafficCounters?) -> String { counters.map { "\($0.bytes >> 10) KiB" } ?? "-" }
        let evidence = pair.lastMove.map { move in
            let through = move.evidence.bytesOnPath.map { "\($0 >> 20)" } ?? "?"
            let sent = move.evidence.bytesByHypervisor.map { "\($0 >> 20)" } ?? "?"
            return "\(move.evidence.verdict.rawValue) (\(through) of \(sent) MiB)"
        }
        return [
            pair.host.rawValue, tunnel.peer.rawValue,
            tunnel.isUp ? "up" : "DOWN: \(tunnel.trouble ?? "unknown")",
            tunnel.association?.suite ?? "-", tunnel.association?.mode.rawValue ?? "-",
            tunnel.association?.implementation.rawValue ?? "-",
            age(tunnel.ageSeconds), age(tunnel.rekeySeconds), size(tunnel.outbound), size(tunnel.inbound),
            pair.lastMove.map { "\(Units.seconds((at - $0.at).inSeconds)) ago" } ?? "-",
            evidence ?? "-",
        ]
    }
}
