// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import HostOS

/// A file with a random text that an order's source writes next to an image, and its target must find there.
///
/// Path, size and inode number also agree between a file system and its copy. A text that was written a moment ago
/// exists only in the same folder.
struct FolderMark: Sendable {
    let folder: String
    let path: String

    init(of order: OrderID, in folder: String) throws {
        self.folder = folder
        path = "\(folder)/\(Self.prefix)\(try SealedFormat.fileName(order))"
    }

    private static let prefix = ".evenkeel-mark-"
    /// The target checks within `AgentCore.Limits.consent`; after this time the mark has no more use.
    static let lifetime: Duration = .seconds(120)
    private static let characters = 32

    /// Writes a new text and returns it; the file is removed after `lifetime`.
    func write(within limit: Duration) async throws -> String {
        let text = (0..<Self.characters).map { _ in String(UInt8.random(in: 0..<16), radix: 16) }.joined()
        await removeOldMarks(within: limit)
        do {
            try await Blocking.onStorage(in: Blocking.diskSlots, within: limit, "writing \(path)") {
                try DurableFile.replace(path, with: text.utf8, mode: 0o644)
            }
        } catch let failure as DurableFile.Failure where [EACCES, EPERM].contains(failure.code) {
            try await asOwner(within: limit, "dd", ["of=\(path)", "conv=fsync", "status=none"], input: text)
        }
        Task {
            try? await Task.sleep(for: Self.lifetime)
            await remove()
        }
        return text
    }

    func remove() async {
        let isRemoved = try? await Blocking.onStorage(in: Blocking.diskSlots, within: .hangLimit, "removing \(path)") {
            unlink(path) == 0 || errno == ENOENT
        }
        if isRemoved != true { try? await asOwner(within: .hangLimit, "rm", ["-f", "--", path]) }
    }

    /// Returns the mark's text as this host reads it.
    func read(within limit: Duration) async throws -> String {
        try await Blocking.onStorage(in: Blocking.diskSlots, within: limit, "reading \(path)") {
            String(decoding: try SafeFile.read(path, .published, atMost: 4 * Self.characters), as: UTF8.self)
        }
    }

    /// Runs a program as the folder's owner: an NFS server may let root write nowhere (`root_squash`).
    func asOwner(
        within limit: Duration,
        _ program: String,
        _ arguments: [String],
        input: String = ""
    ) async throws {
        let owner = try await Blocking.onStorage(
            in: Blocking.diskSlots,
            within: limit,
            "reading the owner of \(folder)"
        ) {
            var status = stat()
            guard stat(folder, &status) == 0 else { throw DiskError(errno) }
            return (user: status.st_uid, group: status.st_gid)
        }
        let identity = ["--reuid=\(owner.user)", "--regid=\(owner.group)", "--clear-groups", "--", program]
        try await Command("setpriv", identity + arguments, timeLimit: limit).run(input: input)
    }

    /// Removes marks that agents left behind when they ended, also where only the folder's owner can write.
    private func removeOldMarks(within limit: Duration) async {
        let left = try? await Blocking.onStorage(in: Blocking.diskSlots, within: limit, "reading \(folder)") {
            oldMarks().filter { unlink($0) != 0 && [EACCES, EPERM].contains(errno) }
        }
        guard let left, !left.isEmpty else { return }
        // Marks that stay do no harm: the next mark in this folder tries again.
        try? await asOwner(within: limit, "rm", ["-f", "--"] + left)
    }

    /// Maximum number of names that are read of a folder, to which others can write.
    private static let listed = 10_000
    /// Maximum number of marks that are removed at once.
    private static let removed = 100

    /// Returns some marks that are older than an hour.
    ///
    /// Blocks.
    private func oldMarks() -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var old: [String] = []
        for _ in 0..<Self.listed {
            guard old.count < Self.removed, let entry = readdir(handle) else { break }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard name.hasPrefix(Self.prefix), lstat("\(folder)/\(name)", &status) == 0,
                // Whoever can write to the folder chooses the time.
                .seconds(time(nil)) - .seconds(status.st_mtim.tv_sec) > Duration.seconds(3600)
            else { continue }
            old.append("\(folder)/\(name)")
        }
        return old
    }
}
