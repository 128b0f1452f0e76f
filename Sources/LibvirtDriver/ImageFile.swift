// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Glibc
internal import Hypervisor

/// The file of a VM's memory, and the folder it may lie in.
struct ImageFile {
    let path: String

    /// What a device's state, video memory and libvirt's header take beside the memory, generously.
    private static let overhead: UInt64 = 64 << 20

    /// A new file's name in the folder; throws `.refused` if the folder is not fit for plaintext memory of this size.
    init(of vm: VMID, in folder: String, memoryBytes: UInt64, attempt: String) throws(HypervisorError) {
        func refusal(_ detail: String) -> HypervisorError {
            HypervisorError(.refused, attempt: attempt, detail: "\(detail); nothing was touched")
        }
        var status = stat()
        guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw refusal("\(folder) is not a folder")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw refusal("others may enter \(folder), which the VM's memory in the clear must not allow: chmod 700")
        }
        var system = statfs()
        guard statfs(folder, &system) == 0 else { throw refusal("the file system of \(folder) cannot be read") }
        guard Self.memoryFileSystems.contains(UInt(bitPattern: Int(system.f_type))) else {
            throw refusal("\(folder) is on a disk, and the VM's memory in the clear must not be; use a tmpfs")
        }
        let free = UInt64(system.f_bavail) * UInt64(system.f_bsize)
        guard free >= memoryBytes + Self.overhead else {
            throw refusal("\(folder) has \(free) bytes free, and the VM's memory may take \(memoryBytes)")
        }
        path = "\(folder)/\(vm).image"
        guard lstat(path, &status) != 0 else {
            throw refusal("\(path) is already there; if no VM waits for it (virsh save-image-dumpxml), remove it")
        }
    }

    init(path: String) { self.path = path }

    /// tmpfs and ramfs, by their numbers in linux/magic.h.
    private static let memoryFileSystems: Set<UInt> = [0x0102_1994, 0x8584_58f6]

    /// Its size, once it is certain that nobody but its owner can read it.
    func closedSize() -> UInt64? {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        if status.st_mode & 0o077 != 0, chmod(path, 0o600) != 0 { return nil }
        return UInt64(status.st_size)
    }

    func remove() { unlink(path) }
}
