// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A temporary folder in place of /proc or /sys, removed with the value.
final class FixtureTree: Sendable {
    let path: String

    init() throws {
        path = "\(NSTemporaryDirectory())/eka-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to file: String) throws {
        let whole = URL(fileURLWithPath: "\(path)/\(file)")
        try FileManager.default.createDirectory(
            at: whole.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(text.utf8).write(to: whole)
    }

    func remove(_ file: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(file)") }
}

extension FixtureTree {
    /// Returns the /proc of a machine with two cores and 8 GiB, 6 of them available.
    static func machine() throws -> FixtureTree {
        let tree = try FixtureTree()
        try tree.writeStat(user: 1000, idle: 5000)
        try tree.write(
            "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    6291456 kB\n",
            to: "meminfo"
        )
        try tree.write("0.50 1.25 2.00 3/456 7890\n", to: "loadavg")
        try tree.writeTraffic(received: 1000, sent: 2000)
        return tree
    }

    /// CPU times in ticks of 10 ms; guest time is part of the user's.
    func writeStat(user: Int, nice: Int = 0, system: Int = 0, idle: Int, iowait: Int = 0, steal: Int = 0) throws {
        let text = """
            cpu  \(user) \(nice) \(system) \(idle) \(iowait) 0 0 \(steal) 77 0
            cpu0 1 2 3 4 5 6 7 8 0 0
            cpu1 1 2 3 4 5 6 7 8 0 0
            intr 12345
            ctxt 99

            """
        try write(text, to: "stat")
    }

    func writeTraffic(received: Int, sent: Int) throws {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
                lo: 9999999    10    0    0    0     0          0         0  9999999   10    0    0    0     0
              eth0: \(received)    10    0    0    0     0          0         0     \(sent)    10    0    0    0     0
              eth1:5000    10    0    0    0     0          0         0     6000    10    0    0    0     0

            """
        try write(text, to: "net/dev")
    }
}
