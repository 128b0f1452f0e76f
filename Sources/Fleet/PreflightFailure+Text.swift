// SPDX-License-Identifier: Apache-2.0

extension PreflightFailure.Reason {
    public var text: String {
        switch self {
        case .hypervisor(let reason): reason.text
        case .host(let reason): reason.text
        case .escort(let reason): reason.text
        case .other(let text): text
        }
    }
}

extension PreflightFailure.HypervisorReason {
    var text: String {
        switch self {
        case .silent(let detail): "libvirt does not answer: \(detail)"
        case .otherType(let vm, let host): "the VM needs \(vm), this host's hypervisor is \(host)"
        case .older(let type, let host, let source):
            "\(type) \(host) is older than the source's \(source) and may not be able to read its VM state: upgrade "
                + "this host"
        case .cannotRun(let vm, let detail): "cannot run a \(vm) VM: \(detail)"
        case .cpuFeaturesMissing(let domainType, let model):
            "\(domainType) on this host cannot provide the VM's CPU (\(model)): CPU features are missing"
        case .cpuNotCompared(let model, let detail): "cannot compare the VM's CPU (\(model)): \(detail)"
        case .cpuModelUnknown(let why):
            "\(why.text), so both hosts need the same CPU, and the model of one host is unknown"
        case .hostCPUDiffers(let model):
            "the VM has cpu mode='host-passthrough', and this host's CPU is not exactly the source's (\(model)): give the VM "
                + "a CPU model that both hosts have"
        case .cpuModelDiffers(let why, let source, let host):
            "\(why.text), so both hosts need the same CPU, but the source has \(source) and this host \(host)"
        case .networkInactive(let name):
            "libvirt network '\(name)' is not active: start it with 'virsh net-start \(name)'"
        case .networkMissing(let name, let detail): "libvirt network '\(name)' does not exist: \(detail)"
        case .networkIsLocal(let name, let mode):
            "libvirt network '\(name)' has mode '\(mode)', so it ends at its host and would cut the VM off: attach the VM "
                + "to a bridge, or name the network in migration.stretched_networks"
        case .uuidActive(let id, let state): "a VM with uuid \(id) is already active here: \(state)"
        case .uuidDefined(let id, let name, let state, let remedy):
            "uuid \(id) is already defined here as '\(name)' (\(state)): if it is a leftover of this VM, remove it "
                + "with \(remedy) \(id)"
        case .nameTaken(let name, let id): "another VM, \(id), already has the name '\(name)' here"
        case .notRunning(let id, let name): "VM \(name) (\(id)) does not run on this host"
        case .notOff(let id, let name):
            "VM \(name) (\(id)) is not off on this host: move it without --offline, or shut it down"
        case .managedSave:
            "the VM has a managed save, which cannot move with it: start the VM, or remove the save with "
                + "'virsh managedsave-remove'"
        case .hostState(let state): state.text
        case .offlineUnsupported(let type): "libvirt's driver for \(type) moves no VMs that are off"
        case .snapshots(let count):
            "the VM has \(count) snapshots, which cannot move with it: remove them with 'virsh snapshot-delete'"
        case .checkpoints(let count):
            "the VM has \(count) checkpoints, which cannot move with it: remove them with 'virsh checkpoint-delete'"
        case .unsafeCache(let disk, let mode):
            "disk \(disk) has cache='\(mode)': a move is safe only with cache='none' or 'directsync'"
        case .blockJob(let disk):
            "a block job runs on disk \(disk): wait for its end, or end it with 'virsh blockjob --abort'"
        case .hostDevice(let kind): "the VM uses a device of this host (\(kind)): detach it"
        case .sharedFolder(let tag): "this host shares the folder '\(tag)' with the VM: detach the file system"
        case .confidentialGuest(let type):
            "the VM is a confidential guest (\(type)), whose memory cannot leave its host"
        case .nonMigratableDevice(let device): device.text
        case .failed(let detail): detail
        }
    }
}

extension PreflightFailure.HostState {
    var text: String {
        switch self {
        case .firmwareVariables:
            "the VM has UEFI variables (NVRAM) in a file of this host, which an offline move does not copy: start the VM "
                + "and move it live"
        case .tpm:
            "the VM has an emulated TPM, whose state is on this host and which an offline move does not copy: start the VM "
                + "and move it live"
        }
    }
}

extension PreflightFailure.NonMigratableDevice {
    var text: String {
        switch self {
        case .transientDisk(let disk): "disk \(disk) is transient, and libvirt does not move its changes"
        case .sharedMemory(let name): "the VM shares the memory '\(name)' with another VM: detach the shmem device"
        case .hostTPM: "the VM uses a TPM of this host or of another program: use an emulated TPM of libvirt"
        case .invariantTSC:
            "the VM has the CPU feature invtsc without a TSC frequency: set the frequency, or remove the feature"
        }
    }
}

extension PreflightFailure.SameCPU {
    var text: String {
        switch self {
        case .xen: "Xen passes the host's CPU through"
        case .hostPassthrough: "the VM has cpu mode='host-passthrough'"
        case .notComparable(let detail): "libvirt cannot compare its CPU here (\(detail))"
        }
    }
}

extension PreflightFailure.HostReason {
    var text: String {
        switch self {
        case .memoryShort(let available, let needed, let promised):
            "\(available >> 20) MiB available, \(needed >> 20) MiB needed, QEMU's overhead included"
                + Self.promise(promised)
        case .memoryOverLimit(let share, let limit, let promised):
            "memory use would be \(share) %, above policy.memory.upper (\(limit) %)" + Self.promise(promised)
        case .memoryUnknown(let detail): "cannot determine the available memory: \(detail)"
        case .noBridge(let name): "there is no bridge \(name)"
        case .interfaceNotCheckable(let type):
            "cannot check an interface of type '\(type)': attach it to a bridge or network"
        case .diskNotCheckable(let type, let detail):
            "cannot check a disk of type '\(type)' (\(detail))"
        case .fileMissing(let path, let detail):
            "\(path) cannot be opened (\(detail)): check that the shared storage is mounted"
        case .localFile(let path, let type):
            "\(path) is on local storage of this host (\(type)): move it to shared storage, or eject the medium"
        case .fileUnproven(let path):
            "the agent of the source does not prove which file \(path) is: update that agent"
        case .notShared(let path, let here, let source):
            "\(path) is not on shared storage: it is on \(here) here and on \(source) on the source"
        case .otherFile(let path, let here, let source):
            "\(path) is a different file on this host: \(here.text) here, \(source.text) on the source"
        case .markMissing(let path, let detail):
            "\(path) is not in the source's folder: the mark that the source wrote next to it is not here (\(detail)). "
                + "Mount the same shared storage on both hosts"
        case .markNotWritten(let folder, let detail):
            "cannot write a mark into \(folder), by which the target recognises the folder (\(detail)): let root or "
                + "the folder's owner write there"
        case .deviceWithoutIdentity(let path):
            "\(path) has no identity on the source (device mapper uuid, WWID or serial), so it cannot be compared"
        case .otherDevice(let path, let here, let source):
            "\(path) is a different device on this host (\(here ?? "no identity"), not \(source))"
        case .unreadable(let url, let detail): "\(url) cannot be read: \(detail)"
        case .takesNoOrders(let detail):
            "this host takes no orders until its local disk can be written (\(detail)): free space, or repair the disk"
        }
    }

    private static func promise(_ bytes: UInt64) -> String {
        bytes > 0 ? ", with \(bytes >> 20) MiB promised to others" : ""
    }
}

extension FileIdentity {
    fileprivate var text: String { "inode \(inode), \(bytes) bytes, on \(fileSystem)" }
}

extension PreflightFailure.EscortReason {
    var text: String {
        switch self {
        case .plainNotAllowed: "this host does not allow unencrypted moves (escort.allow_plain)"
        case .sealedNotOffered: "this host does not offer the channel sealed (escort.channels)"
        case .targetNotConfigured(let host): "host \(host) is not in this agent's configuration (hosts)"
        case .gatesNotOpened(let detail): "cannot open the gates of this host: \(detail)"
        case .closuresDamaged(let detail), .failed(let detail): detail
        }
    }
}
