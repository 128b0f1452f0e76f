// SPDX-License-Identifier: Apache-2.0

/// Checks every 100 ms whether `condition` holds; throws after `limit`.
///
/// The error shows the end of the file `log`.
func waitUntil(
    _ what: String,
    within limit: Duration,
    log: String? = nil,
    _ condition: () async throws -> Bool
) async throws {
    let met: Bool? = try await poll(every: .milliseconds(100), within: limit) { try await condition() ? true : nil }
    if met == nil { throw LabError.timedOut(what: what, after: limit, log: log.map { Files.tail($0) } ?? "") }
}

/// Repeats `read` until it returns a value; `nil` after `limit`.
func poll<Value>(
    every interval: Duration,
    within limit: Duration,
    _ read: () async throws -> Value?
) async throws -> Value? {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await read() { return value }
        guard ContinuousClock.now < deadline else { return nil }
        try await Task.sleep(for: interval)
    }
}
