// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import LibvirtXML

/// What in a definition ties a running VM to its host.
///
/// The rules are those of libvirt (`qemuMigrationSrcIsAllowed`) and of QEMU's migration blockers. Shared folders and USB
/// devices are refused even where libvirt would move them: nothing proves that the target has the same ones.
extension DomainDefinition {
    var migrationBlockers: [PreflightFailure.HypervisorReason] {
        unsafeCaches + hostDevices + sharedFolders + confidentialGuest
            + nonMigratableDevices.map { .nonMigratableDevice($0) }
    }

    private var devices: [XMLTree] { root.child("devices")?.children ?? [] }

    /// The writable disks whose host cache could serve stale data after a move.
    ///
    /// libvirt accepts some of them because QEMU can drop a file's cache. Their consistency then depends on a coherent
    /// cache of the storage; with `none` and `directsync` it does not. RBD keeps its caches coherent itself. The cache
    /// mode applies to QEMU only: Xen's block back ends bypass the host's cache.
    private var unsafeCaches: [PreflightFailure.HypervisorReason] {
        guard domainType == "kvm" || domainType == "qemu" else { return [] }
        return diskElements.compactMap { disk in
            guard disk.child("source") != nil, disk.child("readonly") == nil, disk.child("shareable") == nil,
                disk.child("source")?.attribute("protocol") != "rbd"
            else { return nil }
            let cache = disk.child("driver")?.attribute("cache") ?? "default"
            guard cache != "none", cache != "directsync" else { return nil }
            return .unsafeCache(disk: Self.name(of: disk), mode: cache)
        }
    }

    var hostDevices: [PreflightFailure.HypervisorReason] {
        devices.compactMap { device in
            guard device.name == "hostdev" || (device.name == "interface" && device.attribute("type") == "hostdev"),
                // QEMU unplugs it for the move, and the guest uses the other device of the team.
                device.child("teaming")?.attribute("type") != "transient"
            else { return nil }
            guard device.name == "hostdev" else { return .hostDevice("interface") }
            let kind = device.attribute("type") ?? device.attribute("mode") ?? "unknown"
            // libvirt drops such a device if the target does not have it.
            let policy = device.child("source")?.attribute("startupPolicy") ?? ""
            if kind == "usb", ["optional", "requisite"].contains(policy) { return nil }
            return .hostDevice(kind)
        }
    }

    var sharedFolders: [PreflightFailure.HypervisorReason] {
        devices.filter { $0.name == "filesystem" }.map {
            .sharedFolder($0.child("target")?.attribute("dir") ?? "")
        }
    }

    private var confidentialGuest: [PreflightFailure.HypervisorReason] {
        root.child("launchSecurity").map { [.confidentialGuest($0.attribute("type") ?? "unknown")] } ?? []
    }

    private var nonMigratableDevices: [PreflightFailure.NonMigratableDevice] {
        var found = diskElements.filter { $0.child("transient") != nil }.map {
            PreflightFailure.NonMigratableDevice.transientDisk(Self.name(of: $0))
        }
        for device in devices {
            switch device.name {
            case "shmem" where device.attribute("role") != "master":
                found.append(.sharedMemory(device.attribute("name") ?? ""))
            case "tpm" where device.child("backend")?.attribute("type") != "emulator": found.append(.hostTPM)
            default: break
            }
        }
        let features = root.child("cpu")?.children("feature") ?? []
        let isInvariant = features.contains {
            $0.attribute("name") == "invtsc" && ["require", "force"].contains($0.attribute("policy") ?? "require")
        }
        let timers = root.child("clock")?.children("timer") ?? []
        let hasFrequency = timers.contains { $0.attribute("name") == "tsc" && $0.attribute("frequency") != nil }
        return found + (isInvariant && !hasFrequency ? [.invariantTSC] : [])
    }

    /// Whether libvirt deletes the state of the VM's TPM when the VM stops without a definition.
    ///
    /// From libvirt's `qemuTPMEmulatorCleanupHost`: with `persistent_state`, the state is deleted only by an undefine that
    /// requests it; without, it is deleted with every definition, unless an undefine keeps it.
    var losesTPMState: Bool {
        let backends = devices.filter { $0.name == "tpm" }.compactMap { $0.child("backend") }
        return backends.contains {
            $0.attribute("type") == "emulator" && $0.attribute("persistent_state") != "yes"
        }
    }

    private static func name(of disk: XMLTree) -> String { disk.child("target")?.attribute("dev") ?? "?" }

    /// The names by which libvirt addresses the disks.
    var diskNames: [String] { diskElements.compactMap { $0.child("target")?.attribute("dev") } }
}
