// SPDX-License-Identifier: Apache-2.0

/// A file that a VM's disk or its backing chain uses.
public struct DiskFile: Codable, Sendable, Equatable {
    public var path: String
    /// Whether the VM only reads it.
    public var isReadOnly: Bool
    /// The source's observation; `nil` until it has observed the file.
    public var identity: FileIdentity?
    public init(path: String, isReadOnly: Bool, identity: FileIdentity? = nil) {
        self.path = path
        self.isReadOnly = isReadOnly
        self.identity = identity
    }
}

/// A host's observation of a file, which another host can compare with its own.
public struct FileIdentity: Codable, Sendable, Hashable {
    /// The type of its file system, such as `nfs4`.
    public var fileSystem: String
    public var inode: UInt64
    public var bytes: UInt64
    /// The content of the mark in the file's folder; `nil` if the VM only reads the file and the folder cannot be
    /// written.
    public var mark: String?
    public init(fileSystem: String, inode: UInt64, bytes: UInt64, mark: String? = nil) {
        self.fileSystem = fileSystem
        self.inode = inode
        self.bytes = bytes
        self.mark = mark
    }
}
