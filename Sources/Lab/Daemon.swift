// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

/// Processes that outlive the process that started them; their cgroup identifies them.
struct Daemon: Sendable {
    let cgroups: Cgroups
    /// The cgroup, such as `h1/system` or `infrastructure`.
    let group: String

    /// Starts a program in its own session, appends its output to `log`, and returns immediately.
    func start(_ words: [String], log: String, environment: [String: String] = [:]) async throws {
        let moves = cgroups.procsFiles(group).map { "echo $$ > \($0); " }.joined()
        let join = "set -e; \(moves)exec \"$@\""
        let script = """
            log=$1; join=$2; shift 2
            setsid /bin/sh -c "$join" start "$@" </dev/null >>"$log" 2>&1 &
            """
        let arguments = ["-c", script, "start", log, join] + words
        try await Command("/bin/sh", arguments, environment: environment).run()
    }

    /// Returns the group's processes with this command name; the kernel keeps its first 15 characters.
    func processes(named name: String) -> [Int32] {
        cgroups.processes(below: group).filter { process in
            let command = (try? Files.text("/proc/\(process)/comm"))?.split(separator: "\n").first
            return command.map { $0 == name.prefix(15) } ?? false
        }
    }

    /// Ends all processes of the group and waits until they have ended.
    func endAll(within limit: Duration = .seconds(20)) async throws {
        for process in cgroups.processes(below: group) { kill(process, SIGTERM) }
        try await waitUntil("the end of all processes in \(group)", within: limit) {
            cgroups.processes(below: group).isEmpty
        }
    }

    /// Stops the processes as a service manager does: SIGTERM, and SIGKILL if they have not ended in time.
    func stop(named name: String) async throws {
        do {
            try await end(named: name, signal: .terminate)
        } catch is LabError {
            try await end(named: name, signal: .kill)
        }
    }

    /// Sends the signal and waits until the processes have ended.
    func end(named name: String, signal: DaemonSignal, within limit: Duration = .seconds(20)) async throws {
        for process in processes(named: name) { kill(process, signal.rawValue) }
        try await waitUntil("the end of \(name) in \(group)", within: limit) { processes(named: name).isEmpty }
    }
}
