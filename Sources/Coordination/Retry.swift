// SPDX-License-Identifier: Apache-2.0
import Fleet

/// An action on this host's hypervisor that the agent repeats until it has succeeded, or is no longer needed.
enum Retry: Sendable, Equatable {
    /// It has not been tried.
    case open
    case trying
    /// The hypervisor has not carried it out.
    case failed(nextTry: Instant)
    /// It has succeeded, or is not tried again.
    case ended

    private static let pause: Duration = .seconds(10)

    func isDue(at instant: Instant) -> Bool {
        switch self {
        case .open: true
        case .trying, .ended: false
        // A clock that was set back must not delay the next try for longer than the pause.
        case .failed(let nextTry): instant >= nextTry || nextTry - instant > Self.pause
        }
    }

    mutating func fail(at instant: Instant) { self = .failed(nextTry: instant + Self.pause) }
}
