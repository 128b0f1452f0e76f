// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Lists folders of the ledger, which other hosts can change.
enum FolderListing {
    /// Maximum number of names that are read of a folder, far above what retention keeps: a member that fills a folder
    /// must not slow down all readers.
    static let maximum = 4096

    /// Returns the names of the folder's files, in any order; `nil` if the folder does not exist.
    ///
    /// Throws if there are more than `maximum` names.
    static func names(in folder: String) throws(LedgerError) -> [String]? {
        let listing = try some(in: folder)
        guard listing?.isWhole ?? true else { throw crowded(folder) }
        return listing?.names
    }

    static func crowded(_ folder: String) -> LedgerError {
        let reason = "it has more than \(maximum) files; remove those that Evenkeel did not make"
        return .failed(operation: "list", path: folder, reason: reason, mayBeWritten: false)
    }

    /// Returns up to `maximum` names of the folder's files, and whether these are all; `nil` if the folder does not exist.
    ///
    /// Follows a symbolic link only with `followsLinks`.
    static func some(
        in folder: String,
        atMost maximum: Int = maximum,
        followsLinks: Bool = false
    ) throws(LedgerError) -> (names: [String], isWhole: Bool)? {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (followsLinks ? 0 : O_NOFOLLOW))
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT: return nil
            case ELOOP, ENOTDIR: throw notAFolder(folder)
            case let code: throw .system("list", folder, code: code)
            }
        }
        guard let directory = fdopendir(descriptor) else {
            let code = errno
            close(descriptor)
            throw .system("list", folder, code: code)
        }
        defer { closedir(directory) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." {
                guard names.count < maximum else { return (names, false) }
                names.append(name)
            }
            errno = 0
        }
        guard errno == 0 else { throw .system("list", folder, code: errno) }
        return (names, true)
    }

    /// Returns whether something has this path; a link counts whatever it leads to.
    static func contains(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Throws if the path is not a folder, or a link to one.
    static func requireFolder(_ path: String) throws(LedgerError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .system("examine", path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw notAFolder(path) }
    }

    private static func notAFolder(_ path: String) -> LedgerError {
        let reason = "it is not a folder; find out who put it there, and remove it"
        return .failed(operation: "use", path: path, reason: reason, mayBeWritten: false)
    }
}
