// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// One move with an attacker who changes the guest's memory in transit: Oberheide's attack (Xensploit, 2008).
public struct TamperTrial: Sendable, Codable {
    public let channel: Channel
    public let guest: String
    public let wire: WireStatistics
    /// Why the move failed; `nil` when it was carried out.
    public let failure: String?
    public let state: GuestState
    public let verdict: Verdict

    public enum Verdict: String, Sendable, Codable {
        /// The guest's memory was changed, and the move succeeded undetected.
        case broken
        /// Packets were changed, but what arrived is intact.
        case unharmed
        /// The move failed, and the guest continues intact.
        case refused
        /// The guest is harmed in another way: it has stopped, disappeared, or runs twice.
        case harmed
        /// No packet on the wire could be changed by the attack.
        case untouched
    }

    init(channel: Channel, guest: String, wire: WireStatistics, failure: String?, state: GuestState) {
        self.channel = channel
        self.guest = guest
        self.wire = wire
        self.failure = failure
        self.state = state
        verdict =
            if state.memoryIsBroken {
                .broken
            } else if !state.isIntact {
                .harmed
            } else if wire.framesChanged == 0 {
                .untouched
            } else {
                failure == nil ? .unharmed : .refused
            }
    }
}

extension HostLab {
    /// Moves the guest over the channel past somebody who flips bits of its memory where it can be read, and of
    /// encrypted payloads where it cannot.
    public func tamper(
        with guest: GuestPlan,
        movingTo target: HostName,
        channel: Channel,
        programs: Programs,
        seed: UInt64
    ) async throws -> TamperTrial {
        guard let source = try await runsOn(guest).first else {
            throw LabError.move(guest: guest.name, reason: "the guest runs on no host")
        }
        // Where memory is visible one flipped bit is enough; noise would only break what carries the attack.
        let tampering = Tampering(
            targets: guest.checkedMemory(),
            noise: channel == .plain ? 0 : 0.02,
            seed: seed
        )
        let wire = try await insertWire(at: try host(source), programs, tampering: tampering)
        let move: LabMove
        let done: WireStatistics
        do {
            move = try await self.move(guest, to: target, channel: channel)
            done = try await wire.remove()
        } catch {
            // A task of its own: after Ctrl-C the lab must have its wire back all the same.
            _ = await Task { try await wire.remove() }.result
            throw error
        }
        return TamperTrial(
            channel: channel,
            guest: guest.name,
            wire: done,
            failure: move.failure.map { "\($0.kind.rawValue): \($0.reason)" },
            state: try await judge(guest)
        )
    }
}

extension [TamperTrial] {
    /// Whether the attack worked in the clear, which proves it, and nowhere else, though it changed what passed there;
    /// and each of these channels was tried.
    ///
    /// A sealed image passes no wire that is tampered with.
    public func showWhatTheyShould(of channels: [Channel]) -> Bool {
        Set(map(\.channel)) == Set(channels)
            && contains { $0.channel == .plain && $0.verdict == .broken }
            && contains { $0.channel != .plain }
            && allSatisfy { trial in
                switch trial.verdict {
                case .unharmed, .refused: true
                case .untouched: trial.channel == .sealed
                case .broken, .harmed: trial.channel == .plain
                }
            }
    }
}
