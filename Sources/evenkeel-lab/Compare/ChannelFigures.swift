// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Lab

/// The measurements of one move.
struct MoveFigures: Codable, Sendable {
    /// As reported by the hypervisor; `nil` if it reported none or the move failed.
    var totalSeconds: Double?
    var downtimeSeconds: Double?
    var bytes: UInt64?
    /// The longest time for which an answer to a ping was overdue.
    var silenceSeconds: Double
    /// What an observer who pings the VM can detect.
    var detection: MoveDetection.Verdict
    /// Time of the parallel probes of the target's gates before the move; `nil` if the channel uses no port.
    var probeSeconds: Double?
    /// Time to open the target's gates for the source; `nil` if the channel uses no migration port.
    var pinholeSeconds: Double?
    /// From the agent's report that it begins to the start of the migration: the setup of the channel.
    var beginSeconds: Double?
    /// CPU time of the whole hosts (charon, libvirtd, QEMU, agent), minus their usage at rest.
    var sourceCPUSeconds: Double
    var targetCPUSeconds: Double
    /// The probes of the path and their results.
    var probes: [GateProbe]?
    var verdict: Evidence.Verdict?
    var failure: String?

    var bytesPerSecond: Double? {
        guard let bytes, let totalSeconds, totalSeconds > 0 else { return nil }
        return Double(bytes) / totalSeconds
    }
    /// Time that probes and pinhole add to a move; `nil` if one of them is unknown.
    var gateSeconds: Double? {
        guard let probeSeconds, let pinholeSeconds else { return nil }
        return probeSeconds + pinholeSeconds
    }
    private var gibibytes: Double? { bytes.map { Double($0) / 0x1p30 } }
    var sourceCPUPerGiB: Double? { gibibytes.map { sourceCPUSeconds / $0 } }
    var targetCPUPerGiB: Double? { gibibytes.map { targetCPUSeconds / $0 } }
}

/// The measurements of one channel.
struct ChannelFigures: Codable, Sendable {
    var channel: Channel
    var moves: [MoveFigures] = []
    /// Bytes per second of bulk transfers over the same path.
    var bulk: [Double] = []
    /// What an eavesdropper captured during one additional move; `nil` if that move failed.
    var heard: Eavesdropping?
    /// The reason why the move with the eavesdropper failed.
    var listeningFailure: String?

    /// Every move that failed, or that lacks the evidence its channel requires.
    var failures: [String] {
        let unprotected = moves.filter { $0.failure == nil && channel != .plain && $0.verdict != .covered }
        return moves.compactMap(\.failure) + unprotected.map { "evidence is '\($0.verdict?.rawValue ?? "none")'" }
            + (listeningFailure.map { ["while captured: \($0)"] } ?? [])
    }

    func median(_ figure: (MoveFigures) -> Double?) -> Double? {
        moves.filter { $0.failure == nil }.compactMap(figure).sorted().quantile(0.5)
    }
    var bulkMedian: Double? { bulk.sorted().quantile(0.5) }
}

/// The results of a run over all channels, and whether the goals were met.
struct ChannelComparison: Codable, Sendable {
    let machine: String
    let guest: String
    let channels: [ChannelFigures]
    let goals: [Goal]
    /// Whether a channel's move failed or a goal was missed.
    let failed: Bool

    struct Goal: Codable, Sendable, Equatable {
        var claim: String
        /// `nil` if this run could not measure it.
        var holds: Bool?
        var seen: String
    }

    init(machine: String, guest: String, channels: [ChannelFigures]) {
        self.machine = machine
        self.guest = guest
        self.channels = channels
        let goals = GoalCheck(channels: channels).goals
        self.goals = goals
        failed = channels.contains { !$0.failures.isEmpty } || goals.contains { $0.holds == false }
    }

    /// Returns the setup time of each channel in seconds: how much later the migration starts than under `plain`.
    var proofs: [(channel: Channel, seconds: Double)] {
        let begins = channels.compactMap { figures in figures.median(\.beginSeconds).map { (figures.channel, $0) } }
        guard let plain = begins.first(where: { $0.0 == .plain })?.1 else { return [] }
        return begins.filter { $0.0 != .plain }.map { ($0.0, $0.1 - plain) }
    }

    static func milliseconds(_ seconds: Double) -> String { "\(Int((seconds * 1000).rounded())) ms" }

    static func rate(_ bytesPerSecond: Double) -> String {
        "\(Units.decimals(bytesPerSecond * 8 / 1e6, 0)) Mbit/s"
    }
}

/// Compares the measurements with the goals.
private struct GoalCheck {
    typealias Goal = ChannelComparison.Goal
    let channels: [ChannelFigures]

    private func figures(_ channel: Channel) -> ChannelFigures? { channels.first { $0.channel == channel } }

    var goals: [Goal] { [timeOfTLS, throughputOfIPsec, secrecy, gates] }

    private var timeOfTLS: Goal {
        let claim = "tls: total time at most 1.25 times plain's"
        guard let tls = figures(.tls)?.median(\.totalSeconds), let plain = figures(.plain)?.median(\.totalSeconds)
        else {
            return Goal(claim: claim, holds: nil, seen: "not measured: tls or plain is missing")
        }
        let words = "\(Units.decimals(tls)) s, plain \(Units.decimals(plain)) s"
        return Goal(
            claim: claim,
            holds: tls <= plain * 1.25,
            seen: "\(Units.decimals(tls / plain)) times: \(words)"
        )
    }

    private var throughputOfIPsec: Goal {
        let claim = "ipsec: at least 85 % of a bulk TCP transfer through the same tunnel"
        guard let ipsec = figures(.ipsec), let move = ipsec.median(\.bytesPerSecond), let bulk = ipsec.bulkMedian else {
            return Goal(claim: claim, holds: nil, seen: "not measured: ipsec is missing")
        }
        return Goal(
            claim: claim,
            holds: move >= bulk * 0.85,
            seen:
                "\(percent(move / bulk)): \(ChannelComparison.rate(move)) of \(ChannelComparison.rate(bulk))"
        )
    }

    private var secrecy: Goal {
        let claim = "the secret is on the wire under plain and no other channel"
        let heard = channels.map { ($0.channel, $0.heard.map { $0.secrets + $0.memoryPieces }) }
        let seen = heard.map { "\($0.rawValue) \($1.map { "\($0)" } ?? "not captured")" }.joined(separator: ", ")
        guard !heard.contains(where: { $0.1 == nil }), heard.count > 1 else {
            return Goal(claim: claim, holds: nil, seen: seen)
        }
        return Goal(claim: claim, holds: heard.allSatisfy { ($0.1 ?? 0 > 0) == ($0.0 == .plain) }, seen: seen)
    }

    private var gates: Goal {
        let claim = "pinhole and probes add less than 300 ms to a move"
        let added = channels.compactMap { figures in figures.median(\.gateSeconds).map { (figures.channel, $0) } }
        let missing = channels.map(\.channel).filter { $0.usesMigrationPorts && !added.map(\.0).contains($0) }
        guard !added.isEmpty, missing.isEmpty else {
            let names = missing.map(\.rawValue).joined(separator: ", ")
            return Goal(claim: claim, holds: nil, seen: "not measured" + (names.isEmpty ? "" : ": \(names)"))
        }
        return Goal(
            claim: claim,
            holds: added.allSatisfy { $0.1 < 0.3 },
            seen: added.map { "\($0.rawValue) \(ChannelComparison.milliseconds($1))" }.joined(separator: ", ")
        )
    }
}
