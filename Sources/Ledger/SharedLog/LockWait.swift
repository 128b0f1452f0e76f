// SPDX-License-Identifier: Apache-2.0

/// The time that one append may wait for locks, for all of them together.
struct LockWait: Sendable {
    private let start = ContinuousClock.now
    let limit: Duration

    /// Begins the wait.
    init(_ limit: Duration) { self.limit = limit }

    var isOver: Bool { ContinuousClock.now - start >= limit }
}
