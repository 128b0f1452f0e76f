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
    let deadline = ContinuousClock.now + limit
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else {
            throw LabError.timedOut(what: what, after: limit, log: log.map { Files.tail($0) } ?? "")
        }
        try await Task.sleep(for: .milliseconds(100))
    }
}
