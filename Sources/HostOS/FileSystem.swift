// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc

/// The file system that holds a file or folder.
public struct FileSystem: Sendable {
    private let path: String
    /// Bytes that a process of this user can still write.
    public let freeBytes: UInt64

    /// Returns `nil` if the file system cannot be read.
    public init?(of path: String) {
        var system = statvfs()
        guard statvfs(path, &system) == 0 else { return nil }
        let (bytes, overflowed) = UInt64(system.f_bavail).multipliedReportingOverflow(by: UInt64(system.f_frsize))
        freeBytes = overflowed ? .max : bytes
        self.path = path
    }

    /// Whether its files are in memory only.
    public var isInMemory: Bool { type.map { ["tmpfs", "ramfs"].contains($0) } ?? false }

    /// Types that several hosts can mount at the same time; an unknown type counts as local.
    public static let sharedTypes: Set<String> = [
        "nfs", "nfs4", "cifs", "smb3", "ceph", "ocfs2", "gfs2", "gpfs", "lustre", "beegfs", "afs", "pvfs2",
        "fuse.glusterfs", "fuse.quobyte", "fuse.ceph-fuse",
    ]

    /// The type of the mount with the path's device number, as in /proc/filesystems.
    public var type: String? { mount?.type }

    /// The version of NFS with which the file system is mounted, such as 3 or 4.2; `nil` if it is another file system.
    public var nfsVersion: String? { mount?.nfsVersion }

    private var mount: Mount? {
        var status = stat()
        guard stat(path, &status) == 0,
            let mounts = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        else { return nil }
        // As glibc's macros major() and minor() take a device number apart.
        let number = UInt64(status.st_dev)
        let (major, minor) = (number >> 8 & 0xfff | number >> 32 & ~0xfff, number & 0xff | number >> 12 & ~0xff)
        return Mount(of: "\(major):\(minor & 0xffff_ffff)", in: mounts)
    }

    /// A line of /proc/self/mountinfo, which proc_pid_mountinfo(5) describes.
    struct Mount {
        var type: String
        /// The options of the file system, which all its mounts share.
        var options: [Substring]

        /// Returns the first mount of the device; `nil` if there is none.
        init?(of device: String, in mounts: String) {
            for line in mounts.split(separator: "\n") {
                let halves = line.split(separator: " - ", maxSplits: 1)
                guard halves.count == 2 else { continue }
                let fields = halves[0].split(separator: " ")
                guard fields.count > 2, fields[2] == device else { continue }
                let rest = halves[1].split(separator: " ")
                guard let type = rest.first else { return nil }
                self.type = String(type)
                options = rest.count > 2 ? rest[2].split(separator: ",") : []
                return
            }
            return nil
        }

        var nfsVersion: String? {
            guard ["nfs", "nfs4"].contains(type) else { return nil }
            return options.first { $0.hasPrefix("vers=") }.map { String($0.dropFirst("vers=".count)) }
        }
    }
}
