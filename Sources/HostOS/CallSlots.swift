// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Bounds the number of unfinished calls of one kind: a call that hangs keeps its slot until it returns.
public final class CallSlots: Sendable {
    public let count: Int
    private let used = Mutex(0)

    public init(_ count: Int) { self.count = count }

    /// Runs `work` on a thread of its own and returns its result.
    ///
    /// Throws `full` at once if all slots are in use, and `late` once the limit has passed.
    public func run<Value: Sendable, Failure: Error>(
        within limit: Duration,
        full: @autoclosure () -> Failure,
        late: @Sendable @escaping @autoclosure () -> Failure,
        _ work: @Sendable @escaping () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        guard take() else { throw full() }
        return try await Blocking.run(
            within: limit,
            late: { [self] hasBegun in
                // Work that has not begun is dropped, and so cannot give its slot back.
                if !hasBegun { release() }
                return late()
            },
            { [self] () throws(Failure) in
                defer { release() }
                return try work()
            }
        )
    }

    /// Takes a slot for a call that releases it when it returns; `false` if all slots are in use.
    public func take() -> Bool {
        used.withLock { used in
            if used >= count { return false }
            used += 1
            return true
        }
    }

    public func release() { used.withLock { $0 -= 1 } }
}
