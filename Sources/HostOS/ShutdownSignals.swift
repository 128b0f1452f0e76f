// SPDX-License-Identifier: Apache-2.0
internal import UnixSignals

/// Runs work until it ends, and cancels it when this process receives SIGINT, SIGTERM or SIGHUP.
///
/// Waits for the work after cancelling it, so that it can clean up. Returns its value, or throws its error.
public func cancellingOnShutdownSignals<Value: Sendable>(
    _ work: @Sendable @escaping () async throws -> Value
) async throws -> Value {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
    return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            for await _ in signals { return nil }
            return nil
        }
        while let result = try await group.next() {
            group.cancelAll()
            // `nil` means that a signal arrived; the work has not ended yet.
            if let value = result { return value }
        }
        throw CancellationError()
    }
}

/// Returns when this process receives SIGINT or SIGTERM.
public func shutdownSignal() async {
    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { return }
}
