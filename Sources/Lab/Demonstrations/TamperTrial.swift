// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// One move with an attacker who changes the guest's memory in transit: Oberheide's attack (Xensploit, 2008).
public struct TamperTrial: Sendable, Codable {
    public let channel: Channel
    public let guest: String
    public let wire: WireStatistics
    /// The reason why the move failed; `nil` if it succeeded.
    public let failure: String?
    public let state: GuestState
    public let verdict: Verdict

    public enum Verdict: String, Sendable, Codable {
        /// The guest's memory was changed, and the move succeeded undetected.
        case broken
        /// Packets were changed, but the move succeeded and the guest is intact.
        case unharmed
        /// The move failed, and the guest continues intact.
        case refused
        /// The guest is damaged in another way: it has stopped, disappeared, or runs twice.
        case harmed
        /// The attack could change no packet.
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
    /// Moves the guest over the channel through a man in the middle.
    ///
    /// The attacker flips bits of the guest's memory where it is visible, and of encrypted payloads elsewhere.
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
        // One flipped bit is enough where memory is visible; noise would only break the connection that carries it.
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
            // In a separate task, so that the wire is also removed after Ctrl-C.
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
    /// Whether the trials cover exactly these channels, and the attack succeeded only under `plain`, which proves that
    /// it works.
    ///
    /// The other channels must have carried changed packets, except `sealed`: its image does not pass the wire.
    public func areAsExpected(of channels: [Channel]) -> Bool {
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
