// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Lab

/// Measures moves of one guest back and forth between two hosts.
struct ChannelMeasurement: Sendable {
    let lab: HostLab
    let guest: GuestPlan
    let programs: Programs
    let outsider: Attacker
    /// CPU seconds per second that each host uses at rest, with and without the guest.
    private var idle: [HostName: (withGuest: Double?, without: Double?)] = [:]

    /// Long enough to cover the agents' polling interval.
    private static let idleTime: Duration = .seconds(6)
    /// Recorded before and after a move, to compare its round trips with those at rest.
    private static let quietTime: Duration = .seconds(3)

    init(lab: HostLab, guest: GuestPlan, programs: Programs) async throws {
        self.lab = lab
        self.guest = guest
        self.programs = programs
        outsider = try await lab.stranger()
    }

    /// Returns the source and target of the next move.
    private func direction() async throws -> (source: LabHost, target: LabHost) {
        guard let here = try await lab.runsOn(guest).first, let target = lab.hosts.first(where: { $0.name != here })
        else { throw ComparisonError.nowhere(guest.name) }
        return (try lab.host(here), target)
    }

    /// Measures the CPU usage of the hosts at rest, once with the guest on each of them.
    private mutating func measureIdle(_ source: LabHost, _ target: LabHost) async throws {
        if idle[source.name]?.withGuest != nil, idle[target.name]?.without != nil { return }
        let before = (try source.capacity.cpuSecondsUsed(), try target.capacity.cpuSecondsUsed())
        let begin = ContinuousClock.now
        try await Task.sleep(for: Self.idleTime)
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        let after = (try source.capacity.cpuSecondsUsed(), try target.capacity.cpuSecondsUsed())
        idle[source.name, default: (nil, nil)].withGuest = (after.0 - before.0) / seconds
        idle[target.name, default: (nil, nil)].without = (after.1 - before.1) / seconds
    }

    mutating func move(over channel: Channel) async throws -> MoveFigures {
        let (source, target) = try await direction()
        try await measureIdle(source, target)
        let idle = (idle[source.name]?.withGuest ?? 0, idle[target.name]?.without ?? 0)
        let socket = try EchoSocket(to: guest.address) { try outsider.openSocket($0, $1, $2) }
        defer { socket.close() }
        let probe = EchoProbe(socket: socket, interval: 0.01, duration: nil)
        return try await withThrowingTaskGroup(of: ProbeSeries.self) { group in
            group.addTask { try await probe.run() }
            try await Task.sleep(for: Self.quietTime)
            let before = (try source.capacity.cpuSecondsUsed(), try target.capacity.cpuSecondsUsed())
            let begin = ContinuousClock.now
            let move = try await lab.move(guest, to: target.name, channel: channel)
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            let after = (try source.capacity.cpuSecondsUsed(), try target.capacity.cpuSecondsUsed())
            try await Task.sleep(for: Self.quietTime)
            group.cancelAll()
            let series = try await group.next() ?? ProbeSeries(interval: 0.01)
            return MoveFigures(
                totalSeconds: move.outcome?.totalSeconds,
                downtimeSeconds: move.outcome?.downtimeSeconds,
                bytes: move.outcome?.bytesTransferred,
                silenceSeconds: ProbeSummary(series).longestSilence,
                detection: MoveDetection(series).verdict,
                probeSeconds: move.probeSeconds,
                pinholeSeconds: move.pinholeSeconds,
                beginSeconds: move.secondsToBegin,
                sourceCPUSeconds: after.0 - before.0 - seconds * idle.0,
                targetCPUSeconds: after.1 - before.1 - seconds * idle.1,
                probes: move.evidence?.probes,
                verdict: move.evidence?.verdict,
                failure: move.failure.map { "\($0.kind.rawValue): \($0.reason)" }
            )
        }
    }

    func bulk(over channel: Channel, bytes: Int) async throws -> Double {
        let (source, target) = try await direction()
        return try await lab.bulkThroughput(
            from: source,
            to: target,
            channel: channel,
            programs: programs,
            bytes: bytes
        )
    }

    func listen(to channel: Channel) async throws -> SniffTrial {
        try await lab.sniff(guest, movingTo: try await direction().target.name, channel: channel)
    }
}

enum ComparisonError: Error, CustomStringConvertible {
    case nowhere(String)

    var description: String {
        switch self {
        case .nowhere(let guest): "guest \(guest): runs on no host, the measurement cannot continue"
        }
    }
}
