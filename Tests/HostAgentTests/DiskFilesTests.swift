// SPDX-License-Identifier: Apache-2.0
import Fleet
import Glibc
import Testing

@testable import HostAgent

/// One machine plays both hosts: the source's folder is `shared`, and the target sees it or another one.
@Suite struct DiskFilesTests {
    private let tree: FixtureTree
    private let files: DiskFiles

    init() throws {
        tree = try FixtureTree()
        try tree.write("a disk", to: "shared/web1.img")
        // The fixture's file system counts as shared.
        let type = try ObservedFile(at: "\(tree.path)/shared/web1.img").fileSystem
        files = DiskFiles(order: OrderID("o1"), sharedTypes: [type])
    }

    private func path(_ name: String) -> String { "\(tree.path)/\(name)" }

    private func identified(_ name: String = "shared/web1.img", isReadOnly: Bool = false) async throws -> DiskFile {
        let result = await files.identified([DiskFile(path: path(name), isReadOnly: isReadOnly)])
        return try result.get()[0]
    }

    /// Returns the reason why the target, which sees the file at `name`, refuses it.
    private func refusal(_ file: DiskFile, seenAt name: String) async -> String? {
        var file = file
        file.path = path(name)
        return await code(of: file)
    }

    private func code(of file: DiskFile, by checks: DiskFiles? = nil) async -> String? {
        await (checks ?? files).difference(of: file).map { PreflightFailure.Reason.host($0).code }
    }

    @Test func `the source's own file is accepted`() async throws {
        #expect(await files.difference(of: try identified()) == nil)
    }

    @Test func `a copy of the file is another file`() async throws {
        try tree.write("a disk", to: "copy/web1.img")
        let file = try await identified()
        let mark = try #require(file.identity?.mark)
        try tree.write(mark, to: "copy/.evenkeel-mark-o1")
        #expect(await refusal(file, seenAt: "copy/web1.img") == "other-file")
    }

    @Test func `a file with the same inode number needs the source's mark beside it`() async throws {
        try tree.write("", to: "clone/other.img")
        try #require(link(path("shared/web1.img"), path("clone/web1.img")) == 0)
        let file = try await identified()
        #expect(await refusal(file, seenAt: "clone/web1.img") == "mark-missing")
        // As in a clone of the storage that was taken during an earlier order.
        try tree.write("0123456789abcdef0123456789abcdef", to: "clone/.evenkeel-mark-o1")
        #expect(await refusal(file, seenAt: "clone/web1.img") == "mark-missing")
    }

    @Test func `a mark of another order proves nothing`() async throws {
        let other = DiskFiles(order: OrderID("o2"), sharedTypes: files.sharedTypes)
        #expect(await code(of: try identified(), by: other) == "mark-missing")
    }

    @Test func `local storage is refused even if everything agrees`() async throws {
        let strict = DiskFiles(order: OrderID("o1"))
        #expect(await code(of: try identified(), by: strict) == "not-shared")
    }

    @Test func `an NFS server may be source or target of its own clients`() async throws {
        var file = try await identified()
        file.identity?.fileSystem = "nfs4"
        #expect(await DiskFiles(order: OrderID("o1"), sharedTypes: ["nfs4"]).difference(of: file) == nil)
    }

    @Test func `an image may have grown but not shrunk`() async throws {
        let file = try await identified()
        try #require(truncate(file.path, 100) == 0)
        #expect(await files.difference(of: file) == nil)
        try #require(truncate(file.path, 3) == 0)
        #expect(await code(of: file) == "other-file")
    }

    @Test func `a link is followed to the folder of its file`() async throws {
        try tree.write("", to: "links/other")
        try #require(symlink(path("shared/web1.img"), path("links/web1.img")) == 0)
        #expect(await files.difference(of: try identified("links/web1.img")) == nil)
        #expect(access(path("shared/.evenkeel-mark-o1"), F_OK) == 0)
    }

    @Test func `a file that the source's agent did not identify is refused`() async throws {
        let file = DiskFile(path: path("shared/web1.img"), isReadOnly: false)
        #expect(await code(of: file) == "file-unproven")
        var unmarked = try await identified()
        unmarked.identity?.mark = nil
        #expect(await code(of: unmarked) == "file-unproven")
        unmarked.isReadOnly = true
        #expect(await files.difference(of: unmarked) == nil)
    }

    @Test func `a file that is missing on the source is named there`() async {
        let missing = DiskFile(path: path("shared/none.img"), isReadOnly: false)
        let result = await files.identified([missing])
        #expect(throws: DiskFiles.Obstacle.self) { try result.get() }
    }

    @Test func `files of one folder share a mark, and every order has a new one`() async throws {
        try tree.write("another disk", to: "shared/web2.img")
        let both = ["shared/web1.img", "shared/web2.img"].map { DiskFile(path: path($0), isReadOnly: false) }
        let result = await files.identified(both)
        let first = try result.get().compactMap(\.identity?.mark)
        #expect(first.count == 2 && Set(first).count == 1)
        let second = try await identified().identity?.mark
        #expect(second != first[0])
    }

    @Test func `marks disappear, also those that a killed agent has left`() async throws {
        try tree.write("old", to: "shared/.evenkeel-mark-o0")
        var times = [timeval(tv_sec: 1000, tv_usec: 0), timeval(tv_sec: 1000, tv_usec: 0)]
        try #require(utimes(path("shared/.evenkeel-mark-o0"), &times) == 0)
        let mark = try FolderMark(of: OrderID("o1"), in: path("shared"))
        _ = try await mark.write(within: .seconds(10))
        #expect(access(path("shared/.evenkeel-mark-o0"), F_OK) != 0)
        #expect(access(mark.path, F_OK) == 0)
        await mark.remove()
        #expect(access(mark.path, F_OK) != 0)
    }

    @Test(arguments: ["../escape", ".hidden", ""])
    func `an order's id that cannot name a file makes no mark`(id: String) throws {
        #expect(throws: SealingError.self) { try FolderMark(of: OrderID(id), in: path("shared")) }
    }
}
