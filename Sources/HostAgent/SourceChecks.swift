// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Hypervisor
import Settings

/// The checks of a source that need no target: whether a VM can leave this host at all.
///
/// An order's source runs them before it accepts, and samples state their result. Both use this code, so the controller
/// never orders what the source refuses.
struct SourceChecks: Sendable {
    let host: HostName
    let hypervisor: any Hypervisor
    /// libvirt networks that are the same on all hosts, whatever their mode.
    var stretchedNetworks: [String] = []
    var sys = "/sys"
    var proc = "/proc"
    /// Time limit for finding the file system of one file.
    var storageTimeLimit = DiskFiles.patience
    var sharedTypes = FileSystem.sharedTypes
    var slots = Blocking.diskSlots

    /// A VM as its source sees it.
    struct Answer: Sendable {
        /// With the identities of block devices.
        var requirements: VMRequirements
        /// Why it cannot move, whatever the target; empty if it can.
        var failures: [PreflightFailure]
        /// Whether all checks were possible; storage that hangs prevents some.
        var isComplete = true
    }

    /// Reads the requirements of a running VM and checks what ties it to this host.
    func read(_ vm: VMID) async throws(HypervisorError) -> Answer {
        let blockers = try await hypervisor.migrationBlockers(of: vm)
        return await check(try await hypervisor.requirements(of: vm), blockers)
    }

    /// Reads the requirements of a VM that is off and checks what ties it to this host.
    func readOffline(_ vm: VMID) async throws(HypervisorError) -> Answer {
        let found = try await hypervisor.offlineRequirements(of: vm)
        return await check(found.requirements, found.blockers)
    }

    private func check(
        _ requirements: VMRequirements,
        _ blockers: [PreflightFailure.HypervisorReason]
    ) async -> Answer {
        var requirements = requirements
        let blockers = blockers.filter { blocker in
            guard case .networkIsLocal(let name, _) = blocker else { return true }
            return !stretchedNetworks.contains(name)
        }
        requirements.disks = requirements.disks.map { disk in
            guard case .block(let path, nil) = disk else { return disk }
            return .block(path: path, identity: BlockDevice.identity(ofDeviceAt: path, sys: sys))
        }
        var failures = blockers.map { blocker in
            if case .networkIsLocal = blocker { return failure(.network, .hypervisor(blocker)) }
            if case .unsafeCache = blocker { return failure(.storage, .hypervisor(blocker)) }
            return failure(.state, .hypervisor(blocker))
        }
        failures += requirements.disks.compactMap(Self.reason).map { failure(.storage, .host($0)) }
        let files = await localFiles(requirements.files ?? [])
        failures += files.found.map { failure(.storage, .host($0)) }
        for case .other(let type) in requirements.networks {
            failures.append(failure(.network, .host(.interfaceNotCheckable(type: type))))
        }
        return Answer(requirements: requirements, failures: failures, isComplete: files.isComplete)
    }

    private func failure(_ check: PreflightFailure.Check, _ reason: PreflightFailure.Reason) -> PreflightFailure {
        PreflightFailure(check: check, host: host, reason: reason)
    }

    /// Returns why every target would refuse a disk.
    private static func reason(_ disk: DiskSource) -> PreflightFailure.HostReason? {
        switch disk {
        case .iscsi, .file, .block(_, _?): nil
        case .block(let path, nil): .deviceWithoutIdentity(path)
        case .other(let type, let detail): .diskNotCheckable(type: type, detail: detail)
        }
    }

    /// Returns the files that are on storage of this host alone, and whether all could be checked.
    ///
    /// A file server's files are local on the server itself and shared for its clients. A file that does not exist is
    /// left to the checks of the order.
    private func localFiles(_ files: [DiskFile]) async -> (found: [PreflightFailure.HostReason], isComplete: Bool) {
        guard !files.isEmpty, !FileServer.isRunning(proc: proc) else { return ([], true) }
        var found: [PreflightFailure.HostReason] = []
        var isComplete = true
        for path in Set(files.map(\.path)).sorted() {
            do {
                let type = try await Blocking.onStorage(
                    in: slots,
                    within: storageTimeLimit,
                    "reading the file system of \(path)"
                ) { FileSystem(of: path)?.type }
                if let type, !sharedTypes.contains(type) { found.append(.localFile(path, fileSystem: type)) }
            } catch { isComplete = false }
        }
        return (found, isComplete)
    }
}

extension SourceChecks {
    init(host: HostName, settings: Settings, hypervisor: any Hypervisor) {
        self.init(
            host: host,
            hypervisor: hypervisor,
            stretchedNetworks: settings.migration.stretchedNetworks
        )
    }
}

/// Servers whose clients share files that are local here.
enum FileServer {
    /// Returns whether a program listens on the port of NFS or SMB; true if that cannot be read.
    static func isRunning(proc: String = "/proc") -> Bool {
        let tables = ["tcp", "tcp6"].compactMap { try? readText("\(proc)/net/\($0)") }
        guard !tables.isEmpty else { return true }
        return tables.contains { table in
            table.split(separator: "\n").dropFirst().contains { line in
                let fields = line.split(separator: " ")
                // `0A` is LISTEN; the local address is `ADDRESS:PORT`, in hexadecimal.
                guard fields.count > 3, fields[3] == "0A" else { return false }
                return fields[1].hasSuffix(":0801") || fields[1].hasSuffix(":01BD")
            }
        }
    }
}
