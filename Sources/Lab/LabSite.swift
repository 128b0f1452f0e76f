// SPDX-License-Identifier: Apache-2.0

/// Every name, path and address that a lab uses.
///
/// Two sites with different names share nothing but the cache; two labs of one site cannot exist.
public struct LabSite: Sendable, Codable, Equatable {
    /// Names the folder under /var/lib and the cgroup.
    public var name: String
    /// Begins the names of the network namespaces.
    public var shortName: String

    public init(name: String = "evenkeel-lab", shortName: String = "ekl") {
        self.name = name
        self.shortName = shortName
    }

    /// State, sockets, logs, disk images, captures and the hosts' private folders.
    ///
    /// Not below /run: a booted machine mounts that without exec and small, and here are programs and large files. It
    /// survives the machine's restart, as a lab that `down` has still to remove.
    public var stateFolder: String { "/var/lib/\(name)" }
    /// Disk images.
    public var imageFolder: String { "\(stateFolder)/images" }
    /// The unpacked kernel and what was built from it; survives `down`.
    public var cacheFolder: String { "/var/cache/evenkeel-lab" }
    /// The shared log: visible on all hosts under this very path.
    public var ledgerFolder: String { "\(stateFolder)/ledger" }
    /// The certificate authority, as `evenkeel init` makes it: for `evenkeel host`, `certificates` and so on.
    public var clusterFolder: String { "\(stateFolder)/cluster" }
    public var controllerIdentity: String { "\(stateFolder)/identities/controller" }
    public var operatorIdentity: String { "\(stateFolder)/identities/operator" }
    /// One console file per guest, on a path all hosts share, so that it goes on after a move.
    public var consoleFolder: String { "\(stateFolder)/consoles" }
    /// What the guests boot, on a path all hosts share.
    public var bootFolder: String { "\(stateFolder)/boot" }
    /// Programs that must not run from their usual paths; see `ProgramCopies`.
    var programFolder: String { "\(stateFolder)/bin" }
    /// What the guests' definitions name as their emulator: it moves itself into its host's cgroup, then becomes QEMU.
    public var emulator: String { "\(stateFolder)/qemu-system-x86_64" }
    /// /etc/hosts of every host.
    var hostsFile: String { "\(stateFolder)/hosts" }
    var stateFile: String { "\(stateFolder)/state.json" }
    var infrastructureLogFolder: String { "\(stateFolder)/logs" }

    /// Holds the LAN's bridge.
    public var lanNamespace: String { "\(shortName)-lan" }
    /// Runs the iSCSI target.
    public var storageNamespace: String { "\(shortName)-store" }
    /// A machine that is not a host: for attacks and probes from outside.
    public var strangerNamespace: String { "\(shortName)-stranger" }
    /// For a host's images in the clear.
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
    /// The target that holds all disks.
    public static let targetName = "iqn.2026-01.lab.evenkeel:disks"

    static func lanAddress(ofHost number: Int) -> String { "10.77.0.\(number)" }
    static func innerAddress(ofHost number: Int) -> String { "10.78.0.\(number)" }
    static func address(ofGuest number: Int) -> String { "10.77.0.\(100 + number)" }
}
