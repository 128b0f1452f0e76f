// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS

/// Proves that the files of a VM's disks are the same on both hosts of an order.
///
/// The source observes each file and marks its folder. The target compares its own observation, and must find the mark.
struct DiskFiles: Sendable {
    let order: OrderID
    /// Time limit of each access to the storage.
    var timeLimit = Self.patience
    /// An access exceeds it only if the storage hangs.
    ///
    /// The target makes two for a disk, and the source waits longer for its consent (`AgentCore.Limits.consent`).
    static let patience: Duration = .seconds(10)
    /// File system types whose files several hosts can use.
    var sharedTypes = FileSystem.sharedTypes

    /// Returns the files with their identities; throws the reason why one has none.
    func identified(_ files: [DiskFile]) async -> Result<[DiskFile], Obstacle> {
        var marks: [String: String] = [:]
        var identified = files
        for index in files.indices {
            let file = files[index]
            let seen: ObservedFile
            do { seen = try await observe(file.path) } catch {
                return .failure(Obstacle(reason: .fileMissing(file.path, detail: "\(error)")))
            }
            if marks[seen.folder] == nil {
                do {
                    marks[seen.folder] = try await FolderMark(of: order, in: seen.folder).write(within: timeLimit)
                } catch {
                    // Media that the VM only reads are often on storage that nobody may write to.
                    guard file.isReadOnly else {
                        return .failure(Obstacle(reason: .markNotWritten(folder: seen.folder, detail: "\(error)")))
                    }
                }
            }
            identified[index].identity = FileIdentity(
                fileSystem: seen.fileSystem,
                inode: seen.inode,
                bytes: seen.bytes,
                mark: marks[seen.folder]
            )
        }
        return .success(identified)
    }

    struct Obstacle: Error { let reason: PreflightFailure.HostReason }

    /// Returns why the path is not the source's file here; `nil` if it is.
    func difference(of file: DiskFile) async -> PreflightFailure.HostReason? {
        guard let source = file.identity, source.mark != nil || file.isReadOnly else {
            return .fileUnproven(file.path)
        }
        let seen: ObservedFile
        do { seen = try await observe(file.path) } catch { return .fileMissing(file.path, detail: "\(error)") }
        // On an NFS server the file is local, but its clients share it.
        let isShared =
            sharedTypes.contains(seen.fileSystem) || (source.mark != nil && sharedTypes.contains(source.fileSystem))
        guard isShared else {
            return .notShared(file.path, here: seen.fileSystem, source: source.fileSystem)
        }
        // The running VM may have enlarged its image since.
        guard seen.inode == source.inode, seen.bytes >= source.bytes else {
            let here = FileIdentity(fileSystem: seen.fileSystem, inode: seen.inode, bytes: seen.bytes)
            return .otherFile(file.path, here: here, source: source)
        }
        guard let mark = source.mark else { return nil }
        do {
            let found = try await FolderMark(of: order, in: seen.folder).read(within: timeLimit)
            return found == mark ? nil : .markMissing(file.path, detail: "another mark is there")
        } catch {
            return .markMissing(file.path, detail: "\(error)")
        }
    }

    private func observe(_ path: String) async throws -> ObservedFile {
        try await Blocking.onStorage(in: Blocking.diskSlots, within: timeLimit, "reading \(path)") {
            try ObservedFile(at: path)
        }
    }
}
