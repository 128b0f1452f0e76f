// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import HostAgent

/// A folder in which root cannot write, as an NFS server exports it by default; `Scripts/test-nfs` has one.
private let squashed = ProcessInfo.processInfo.environment["EVENKEEL_TEST_SQUASHED"]

@Suite struct FolderMarkTests {
    @Test(.enabled(if: squashed != nil, "EVENKEEL_TEST_SQUASHED names no folder on an export with root_squash"))
    func `where root cannot write, the folder's owner writes and removes the mark`() async throws {
        let folder = try #require(squashed)
        let forbidden = "\(folder)/root"
        try #require(open(forbidden, O_CREAT | O_WRONLY, 0o600) < 0, "root can write in \(folder)")
        let mark = try FolderMark(of: OrderID("o1"), in: folder)
        let text = try await mark.write(within: .seconds(30))
        #expect(try await mark.read(within: .seconds(30)) == text)
        await mark.remove()
        #expect(access(mark.path, F_OK) != 0)
    }

    @Test(.enabled(if: squashed != nil, "EVENKEEL_TEST_SQUASHED names no folder on an export with root_squash"))
    func `where root cannot write, the marks of a killed agent are removed with the next mark`() async throws {
        let folder = try #require(squashed)
        let old = "\(folder)/.evenkeel-mark-o0"
        let mark = try FolderMark(of: OrderID("o1"), in: folder)
        try await mark.asOwner(within: .seconds(30), "touch", ["-d", "1970-01-02", "--", old])
        #expect(access(old, F_OK) == 0)
        _ = try await mark.write(within: .seconds(30))
        #expect(access(old, F_OK) != 0)
        await mark.remove()
    }

    /// Some file systems store any time.
    @Test func `a mark with an extreme time of change does no harm`() async throws {
        let folder = "/dev/shm/evenkeel-mark-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, seconds) in [("o8", Int.min), ("o9", Int.max)] {
            let path = "\(folder)/.evenkeel-mark-\(name)"
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
            let time = timespec(tv_sec: seconds, tv_nsec: 0)
            #expect(utimensat(AT_FDCWD, path, [time, time], 0) == 0)
        }
        let mark = try FolderMark(of: OrderID("o1"), in: folder)
        let text = try await mark.write(within: .seconds(30))
        #expect(try await mark.read(within: .seconds(30)) == text)
        await mark.remove()
        let left = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(left == [".evenkeel-mark-o9"], "\(left)")
    }
}
