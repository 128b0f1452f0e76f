// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// The shared storage: a real iSCSI target in a namespace of its own, one LUN per guest.
struct LabStorage: Sendable {
    let site: LabSite
    let cgroups: Cgroups

    static let imageBytes = 64 << 20

    private var pidFile: String { "\(site.stateFolder)/tgtd.pid" }
    private var log: String { "\(site.infrastructureLogFolder)/tgtd.log" }

    func image(of guest: GuestPlan) -> String { "\(site.imageFolder)/\(guest.name).raw" }

    private var daemon: Daemon { Daemon(cgroups: cgroups, group: "infrastructure") }
    var processes: [Int32] { daemon.processes(named: "tgtd") }
    var isServing: Bool { !processes.isEmpty }

    func start(guests: [GuestPlan]) async throws {
        try Files.makeFolder(site.imageFolder)
        for guest in guests { try Files.makeImage(image(of: guest), bytes: Self.imageBytes) }
        try await serve(guests: guests)
    }

    /// Kills or freezes the target; returns when.
    func fail(by action: FaultCell.Action) async throws -> Instant { try await daemon.fail("tgtd", by: action) }

    /// Starts the target with the guests' existing images.
    func serve(guests: [GuestPlan]) async throws {
        let run = "\(site.stateFolder)/store-run"
        try Files.makeFolder(run)
        try Files.remove(pidFile)
        // The control socket is below /run, of which the target has its own.
        let script = """
            set -e
            mount --make-rprivate /
            echo $$ > \(pidFile)
            mount --bind \(run) /run
            exec tgtd -f
            """
        let namespace = LabNetwork.namespaceFile(site.storageNamespace)
        try await daemon.start(
            ["nsenter", "--net=\(namespace)", "unshare", "-m", "sh", "-c", script],
            log: log
        )
        try await waitUntil("the iSCSI target", within: .seconds(15), log: log) {
            guard Files.exists(pidFile) else { return false }
            return try await administer("--op show --mode system").result().succeeded
        }
        try await administer("--mode target --op new --tid 1 -T \(LabSite.targetName)").run()
        for guest in guests {
            try await administer("--mode logicalunit --op new --tid 1 --lun \(guest.number) -b \(image(of: guest))")
                .run()
        }
        try await administer("--mode target --op bind --tid 1 -I ALL").run()
    }

    private func administer(_ words: String) throws -> Command {
        let process = try Files.text(pidFile).split(separator: "\n").joined()
        let arguments = ["-t", process, "-m", "-n", "tgtadm", "--lld", "iscsi"]
        return Command("nsenter", arguments + words.split(separator: " ").map(String.init), timeLimit: .seconds(10))
    }
}
