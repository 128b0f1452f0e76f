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
        case .silent(let detail): "it does not answer: \(detail)"
        case .otherType(let vm, let host): "the VM runs on \(vm), this host's hypervisor is \(host)"
        case .older(let type, let host, let source):
            "\(type) \(host) is older than the source's \(source), whose VM state it may not read; upgrade this host"
        case .cannotRun(let vm, let detail): "cannot run a \(vm) VM: \(detail)"
        case .cpuFeaturesMissing(let domainType, let model):
            "\(domainType) on this host cannot give the VM's CPU (\(model)): features of it are missing here"
        case .cpuNotCompared(let model, let detail): "cannot compare the VM's CPU (\(model)): \(detail)"
        case .cpuModelUnknown(let why):
            "\(why.text), so both hosts need the same CPU, and a host's model is not known"
        case .cpuModelDiffers(let why, let source, let host):
            "\(why.text), so both hosts need the same CPU: the source has \(source), this host \(host)"
        case .networkInactive(let name): "libvirt network '\(name)' is defined but not active; start it"
        case .networkMissing(let name, let detail): "libvirt network '\(name)' is not there: \(detail)"
        case .uuidActive(let id, let state): "a VM with uuid \(id) is already active here: \(state)"
        case .uuidDefined(let id, let name, let state, let remedy):
            "uuid \(id) is already defined here, as '\(name)' (\(state)); make sure that it is the VM's leftover and "
                + "remove it: \(remedy) \(id)"
        case .nameTaken(let name, let id): "another VM, \(id), already has the name '\(name)' here"
        case .notRunning(let id, let name): "VM \(name) (\(id)) does not run here"
        case .failed(let detail): detail
        }
    }
}

extension PreflightFailure.SameCPU {
    var text: String {
        switch self {
        case .xen: "Xen passes the host's CPU on"
        case .hostPassthrough: "the VM has cpu mode='host-passthrough'"
        case .notComparable(let detail): "libvirt cannot compare its CPU here (\(detail))"
        }
    }
}

extension PreflightFailure.HostReason {
    var text: String {
        switch self {
        case .memoryShort(let available, let needed, let promised):
            "\(available >> 20) MiB available, \(needed >> 20) MiB needed with QEMU's own" + Self.promise(promised)
        case .memoryOverLimit(let share, let limit, let promised):
            "it would be at \(share) %, over policy.memory.upper (\(limit) %)" + Self.promise(promised)
        case .memoryUnknown(let detail): "it is not known: \(detail)"
        case .noBridge(let name): "there is no bridge \(name)"
        case .interfaceNotCheckable(let type):
            "an interface of type '\(type)' cannot be checked from here: attach it to a bridge or network"
        case .diskNotCheckable(let type, let detail):
            "a disk of type '\(type)' (\(detail)) cannot be checked from here"
        case .fileMissing(let path, let detail): "\(path) is not there: is the shared storage mounted? (\(detail))"
        case .deviceWithoutIdentity(let path):
            "\(path) has no identity at the source (device mapper uuid, WWID or serial) to be compared with"
        case .otherDevice(let path, let here, let source):
            "\(path) is another device here (\(here ?? "no identity"), not \(source))"
        case .unreadable(let url, let detail): "\(url) cannot be read: \(detail)"
        }
    }

    private static func promise(_ bytes: UInt64) -> String {
        bytes > 0 ? " and with \(bytes >> 20) MiB promised to others" : ""
    }
}

extension PreflightFailure.EscortReason {
    var text: String {
        switch self {
        case .plainNotAllowed: "moves in the clear are not allowed here (escort.allow_plain)"
        case .sealedNotOffered: "the channel sealed is not among this host's (escort.channels)"
        case .targetNotConfigured(let host): "host \(host) is not in this agent's configuration (hosts)"
        case .gatesNotOpened(let detail): "its gates cannot be opened: \(detail)"
        case .closuresDamaged(let detail), .failed(let detail): detail
        }
    }
}
