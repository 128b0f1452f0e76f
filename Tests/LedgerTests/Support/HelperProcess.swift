// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A running `ledger-writer`; it exits at the end of its standard input, so none outlives the tests.
final class HelperProcess {
    let process: pid_t
    private let input: Int32
    private var hasEnded = false

    /// Starts the helper; its output goes to the file `output`.
    init(_ arguments: [String], output: String) throws {
        let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let program = folder.appendingPathComponent("ledger-writer").path
        var ends: [Int32] = [-1, -1]
        // Not a pipe: a pipe cannot be made close-on-exec in the same step, and a helper that starts at that moment
        // would keep it open.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw StartError(program: program, code: errno) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &actions, nil, &words, environ)
        guard code == 0 else {
            close(ends[1])
            throw StartError(program: program, code: code)
        }
        self.process = process
        input = ends[1]
    }

    deinit { kill() }

    /// Sends SIGKILL and waits for the exit.
    func kill() {
        end { _ = Glibc.kill(process, SIGKILL) }
    }

    /// Closes its standard input and waits for it to exit by itself.
    func finish() { end {} }

    private func end(by means: () -> Void) {
        guard !hasEnded else { return }
        hasEnded = true
        means()
        close(input)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    }

    struct StartError: Error {
        var program: String
        var code: Int32
    }
}

/// Polls until `condition` holds; returns whether it did within `limit`.
func eventually(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while clock.now < end {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return false
}
