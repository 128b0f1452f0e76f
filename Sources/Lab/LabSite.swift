// SPDX-License-Identifier: Apache-2.0

/// All names, paths and addresses of a lab.
///
/// Two sites with different names share only the cache. A site has at most one lab.
public struct LabSite: Sendable, Codable, Equatable {
    /// The name of the folder in /var/lib and of the cgroup.
    public var name: String
    /// The prefix of the names of the network namespaces.
    public var shortName: String

    public init(name: String = "evenkeel-lab", shortName: String = "ekl") {
        self.name = name
        self.shortName = shortName
    }

    /// The sites of the fault matrix: as many labs may run on one machine at the same time.
    public static let matrix =
        [LabSite()] + (2...16).map { LabSite(name: "evenkeel-lab\($0)", shortName: "ekl\($0)") }
    /// The site of the soak, which takes an hour: other labs may run meanwhile.
    public static let soak = LabSite(name: "evenkeel-soak", shortName: "ekls")
    /// The sites that `evenkeel-lab down` takes down.
    public static let all = matrix + [soak]

    /// The folder of state, sockets, logs, disk images, captures and the hosts' private folders.
    ///
    /// It is not below /run, which a booted machine mounts small and without exec. It survives a restart of the
    /// machine, as a lab that `down` must still remove.
    public var stateFolder: String { "/var/lib/\(name)" }
    /// The folder of the disk images.
    public var imageFolder: String { "\(stateFolder)/images" }
    /// The folder of the unpacked kernel and the files built from it; survives `down`.
    public var cacheFolder: String { "/var/cache/evenkeel-lab" }
    /// The folder of the shared log, under the same path on all hosts.
    public var ledgerFolder: String { "\(stateFolder)/ledger" }
    /// The certificate authority of `evenkeel init`, for `evenkeel host`, `evenkeel certificates` and so on.
    public var clusterFolder: String { "\(stateFolder)/cluster" }
    public var controllerIdentity: String { "\(stateFolder)/identities/controller" }
    public var operatorIdentity: String { "\(stateFolder)/identities/operator" }
    /// The folder of one console file per guest, on a path that all hosts share, so that it continues after a move.
    public var consoleFolder: String { "\(stateFolder)/consoles" }
    /// The folder of the guests' boot files, on a path that all hosts share.
    public var bootFolder: String { "\(stateFolder)/boot" }
    /// Programs that must not run from their usual paths; see `ProgramCopies`.
    var programFolder: String { "\(stateFolder)/bin" }
    /// The script that the guests' definitions name as their emulator; see `EmulatorScript`.
    public var emulator: String { "\(stateFolder)/qemu-system-x86_64" }
    /// The /etc/hosts file of every host.
    var hostsFile: String { "\(stateFolder)/hosts" }
    var stateFile: String { "\(stateFolder)/state.json" }
    var infrastructureLogFolder: String { "\(stateFolder)/logs" }

    /// The namespace of the LAN's bridge.
    public var lanNamespace: String { "\(shortName)-lan" }
    /// The namespace of the iSCSI target.
    public var storageNamespace: String { "\(shortName)-store" }
    /// The namespace of a machine that is not a host, for attacks and probes from outside.
    public var strangerNamespace: String { "\(shortName)-stranger" }
    /// Returns the folder of a host's unencrypted images.
    func memoryFolder(ofHost host: String) -> String { "/dev/shm/\(name).\(host)" }
    var memoryFolders: [String] {
        Files.entries("/dev/shm").filter { $0.hasPrefix("\(name).") }.map { "/dev/shm/\($0)" }
    }
    func namespace(ofHost number: Int) -> String { "\(shortName)-h\(number)" }

    /// The bridge in `lanNamespace`, and the one inside each host.
    public static let bridge = "br0"
    static let storageAddress = "10.77.0.250"
    static let strangerAddress = "10.77.0.240"
    static let storagePort = 3260
    /// The iSCSI target of all disks.
    public static let targetName = "iqn.2026-01.lab.evenkeel:disks"

    static func lanAddress(ofHost number: Int) -> String { "10.77.0.\(number)" }
    static func innerAddress(ofHost number: Int) -> String { "10.78.0.\(number)" }
    static func address(ofGuest number: Int) -> String { "10.77.0.\(100 + number)" }
}
