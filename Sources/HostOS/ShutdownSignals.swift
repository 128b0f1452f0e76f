// SPDX-License-Identifier: Apache-2.0
internal import UnixSignals

/// Runs work to its end, cancelling it when this process is asked to stop (SIGINT, SIGTERM or SIGHUP).
///
/// The work is waited for, so that it can clean up; returns its value, or throws what it threw.
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
            // `nil`: a signal came; the work's own end is still to come.
            if let value = result { return value }
        }
        throw CancellationError()
    }
}

/// Returns when this process is asked to stop.
public func shutdownSignal() async {
    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { return }
}
