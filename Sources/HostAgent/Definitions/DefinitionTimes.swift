// SPDX-License-Identifier: Apache-2.0
import Fleet
import Ledger

/// The times of one update of the copies.
///
/// The wall clock of a host may be years off until it is synchronised. Without care, copies would then be removed at once,
/// or readers would refuse them as copies from the future.
struct UpdateTime: Sendable {
    var now: Instant
    /// How long this agent has compared definitions, by a clock that never jumps.
    var uptime: Duration
    /// A step of the wall clock since the last update.
    var step: ClockStep?

    /// Nothing is removed in the first hour.
    var mayRemove: Bool { uptime >= .seconds(3600) }
    /// Whether the wall clock counts for copies of earlier runs that are ahead of it.
    private var isClockSettled: Bool { uptime >= .seconds(600) }
    /// Readers accept more.
    private static let tolerance: Duration = .seconds(60)

    /// Whether the copy's times are ahead of a clock that counts.
    func isBehind(_ copy: DefinitionCopy) -> Bool {
        isClockSettled && max(copy.at, copy.goneSince ?? copy.at) - now > Self.tolerance
    }
}

/// A step of the wall clock, by which the times that this run of the agent has written are wrong.
struct ClockStep: Sendable {
    /// The times of this run by the clock before the step.
    var times: ClosedRange<Instant>
    var length: Duration

    /// Returns the copy with corrected times; `nil` if there is nothing to correct.
    func corrected(_ copy: DefinitionCopy) -> DefinitionCopy? {
        var corrected = copy
        corrected.at = shifted(copy.at)
        corrected.goneSince = copy.goneSince.map(shifted)
        return corrected == copy ? nil : corrected
    }

    private func shifted(_ time: Instant) -> Instant { times.contains(time) ? time + length : time }
}

/// Compares the wall clock with one that never jumps, from update to update.
struct ClockWatch: Sendable {
    private var begin: Instant?
    private var last: (now: Instant, uptime: Duration)?
    /// A step that no update has applied yet.
    private var step: ClockStep?

    private static let noise: Duration = .seconds(60)

    mutating func time(at now: Instant, uptime: Duration) -> UpdateTime {
        if let last, let begin {
            let length = (now - last.now) - (uptime - last.uptime)
            if length > Self.noise || length < .zero - Self.noise {
                step = ClockStep(times: min(begin, last.now)...max(begin, last.now), length: length)
                self.begin = begin + length
            }
        } else {
            begin = now
        }
        last = (now, uptime)
        return UpdateTime(now: now, uptime: uptime, step: step)
    }

    mutating func applied() { step = nil }
}
