// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// A failure that lasts over several attempts: what must be logged is each new reason, and its end.
public final class LastingFailure: Sendable {
    public enum Change: Sendable, Equatable {
        case began(reason: String)
        case ended
    }

    private let last = Mutex<String?>(nil)

    public init() {}

    /// Why the last attempt failed; `nil` if it did not.
    public var reason: String? { last.withLock { $0 } }

    /// Takes the reason for which an attempt failed, `nil` for a success; returns what has changed.
    public func take(_ reason: String?) -> Change? {
        let before = last.withLock { last in
            defer { last = reason }
            return last
        }
        guard reason != before else { return nil }
        return reason.map { .began(reason: $0) } ?? .ended
    }
}
