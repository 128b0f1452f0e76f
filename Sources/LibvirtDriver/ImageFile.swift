// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Glibc
internal import Hypervisor

/// A file with a saved VM's memory, and the checks of its folder.
struct ImageFile {
    let path: String

    /// Upper bound of device state, video memory and libvirt's header in addition to the guest's memory: 64 MiB.
    private static let overhead: UInt64 = 64 << 20

    /// Chooses a new file name; throws `.refused` if the folder is not safe for plaintext memory of this size.
    init(of vm: VMID, in folder: String, memoryBytes: UInt64, attempt: String) throws(HypervisorError) {
        func refusal(_ detail: String) -> HypervisorError {
            HypervisorError(.refused, attempt: attempt, detail: "\(detail); nothing was touched")
        }
        var status = stat()
        guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw refusal("\(folder) is not a folder")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw refusal("others may enter \(folder), but it holds unencrypted VM memory; run chmod 700 on it")
        }
        guard let fileSystem = FileSystem(of: folder) else {
            throw refusal("the file system of \(folder) cannot be read")
        }
        guard fileSystem.isInMemory else {
            throw refusal("\(folder) is on a disk, but it holds unencrypted VM memory; use a tmpfs")
        }
        let needed = memoryBytes > UInt64.max - Self.overhead ? UInt64.max : memoryBytes + Self.overhead
        guard fileSystem.freeBytes >= needed else {
            let (free, most) = (fileSystem.freeBytes >> 20, (needed - 1) >> 20 + 1)
            throw refusal("\(folder) has \(free) MiB free, but the VM may need \(most) MiB; enlarge the tmpfs")
        }
        path = "\(folder)/\(vm).image"
        guard lstat(path, &status) != 0 else {
            throw refusal("\(path) is already there; if no VM needs it (virsh save-image-dumpxml), remove it")
        }
    }

    init(path: String) { self.path = path }

    /// Returns the file's size after making sure that only its owner can read it; `nil` otherwise.
    func closedSize() -> UInt64? {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        if status.st_mode & 0o077 != 0, chmod(path, 0o600) != 0 { return nil }
        return UInt64(status.st_size)
    }

    func remove() { unlink(path) }
}
