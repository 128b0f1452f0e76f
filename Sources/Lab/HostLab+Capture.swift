// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

/// A running or finished capture of the LAN.
public struct LabCapture: Sendable {
    /// The file, in classic pcap format; complete once `stop` has returned.
    public let path: String
    let log: String
    let daemon: Daemon

    /// Ends the capture and returns the number of packets that the kernel dropped; 0 means a complete capture.
    @discardableResult
    public func stop() async throws -> Int {
        // The kernel delivers packets in blocks up to a second old; stopping at once would lose the last block.
        try await Task.sleep(for: .milliseconds(1500))
        for process in processes { kill(process, SIGINT) }
        try await waitUntil("the end of the capture to \(path)", within: .seconds(15), log: log) { processes.isEmpty }
        for line in try Files.text(log).split(separator: "\n") where line.hasSuffix("dropped by kernel") {
            return line.split(separator: " ").first.flatMap { Int($0) } ?? 0
        }
        return 0
    }

    /// The processes whose arguments include the file's path.
    private var processes: [Int32] {
        daemon.processes(named: "tcpdump").filter { process in
            let arguments = (try? Files.read("/proc/\(process)/cmdline")) ?? []
            return arguments.split(separator: 0).contains { $0.elementsEqual(path.utf8) }
        }
    }
}

extension HostLab {
    /// Captures all traffic between the hosts on the LAN until `stop`, except the storage's, which is no part of a
    /// migration.
    public func capture(to path: String) async throws -> LabCapture {
        let daemon = Daemon(cgroups: cgroups, group: "infrastructure")
        let log = "\(path).log"
        try Files.remove(path)
        try Files.remove(log)
        try await daemon.start(
            [
                "nsenter", "--net=\(LabNetwork.namespaceFile(site.lanNamespace))",
                // A large buffer: user-space ESP comes in bursts of small packets.
                "\(site.programFolder)/tcpdump", "-i", LabSite.bridge, "-n", "-U", "-B", "65536",
                "-Z", "root", "-w", path, "not", "host", LabSite.storageAddress,
            ],
            log: log
        )
        try await waitUntil("the capture to \(path)", within: .seconds(15), log: log) {
            ((try? Files.text(log)) ?? "").contains("listening on") && Files.exists(path)
        }
        return LabCapture(path: path, log: log, daemon: daemon)
    }
}
