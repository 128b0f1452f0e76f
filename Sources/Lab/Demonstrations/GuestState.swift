// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The location and integrity of a guest, observed from outside and by itself.
public struct GuestState: Sendable, Codable, Equatable {
    /// The hosts on which it runs, and those on which it is running or paused; both must be the same single host.
    public var runsOn: [HostName]
    public var active: [HostName]
    /// Number of times it booted; must be 1.
    public var starts: Int
    /// Problems found by its own checks of memory and disk, and by the check of its image.
    public var problems: [String]
    /// Whether it continued to work and to write to its disk during the observation.
    public var goesOn: Bool

    /// Whether it runs on exactly one host, never restarted, continues to work, and has no problems.
    public var isIntact: Bool {
        runsOn.count == 1 && active.count == 1 && starts == 1 && problems.isEmpty && goesOn
    }

    /// Whether its memory check found a problem.
    public var memoryIsBroken: Bool { problems.contains { $0.hasPrefix("mem=") } }
}

extension HostLab {
    /// Time in which a guest with enough CPU checks each page with a known checksum once.
    private static let checkingTime: Duration = .seconds(16)

    /// Observes a guest until it has had time to check all its memory, or has found a problem.
    public func judge(_ guest: GuestPlan, within limit: Duration = .seconds(90)) async throws -> GuestState {
        let before = try console(of: guest).readings.last
        let deadline = ContinuousClock.now + limit
        func isJudged() throws -> Bool {
            guard let now = try self.console(of: guest).readings.last else { return false }
            return now.memoryProblem != nil || now.uptime >= (before?.uptime ?? .zero) + Self.checkingTime
        }
        while ContinuousClock.now < deadline, try !isJudged() { try await Task.sleep(for: .milliseconds(300)) }
        // A move that has just ended may still show the guest on both hosts.
        var places = try await placement()[guest.name] ?? GuestPlacement()
        while places.active.count != 1, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(300))
            places = try await placement()[guest.name] ?? GuestPlacement()
        }
        let console = try self.console(of: guest)
        let last = console.readings.last
        let disk = try await disk(of: guest)
        var problems = console.errors
        if let memory = last?.memoryProblem { problems.append("mem=\(memory)") }
        if let sectors = last?.diskProblem { problems.append("disk=\(sectors)") }
        problems += disk.problems.map { "disk image: \($0)" }
        return GuestState(
            runsOn: places.running,
            active: places.active,
            starts: console.starts,
            problems: problems,
            goesOn: (last?.units ?? 0) > (before?.units ?? 0) && (last?.diskSequence ?? 0) > (before?.diskSequence ?? 0)
        )
    }
}
