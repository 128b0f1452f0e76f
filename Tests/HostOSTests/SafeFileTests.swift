// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import HostOS

@Suite struct SafeFileTests {
    private static func with(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-safe-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static func write(_ text: String, _ path: String, mode: mode_t) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        #expect(chmod(path, mode) == 0)
    }

    private static func reason(_ path: String, _ trust: SafeFile.Trust) -> SafeFile.Reason? {
        do throws(SafeFile.Failure) {
            _ = try SafeFile.read(path, trust, atMost: 100)
            return nil
        } catch { return error.reason }
    }

    @Test func `a file is read only if its mode suits the trust in it`() throws {
        try Self.with { folder in
            let path = "\(folder)/file"
            for (mode, published, ours, secret) in [
                (0o600, true, true, true), (0o644, true, true, false), (0o666, true, false, false),
                (0o620, true, false, false), (0o604, true, true, false),
            ] {
                try Self.write("text", path, mode: mode_t(mode))
                let octal = String(mode, radix: 8)
                #expect((Self.reason(path, .published) == nil) == published, "\(octal)")
                #expect(Self.reason(path, .ours) == (ours ? nil : .openToOthers(.ours)), "\(octal)")
                #expect(Self.reason(path, .secret) == (secret ? nil : .openToOthers(.secret)), "\(octal)")
            }
        }
    }

    @Test(.enabled("only root can give a file away") { geteuid() == 0 })
    func `a file of another user is read only if anyone may own it`() throws {
        try Self.with { folder in
            let path = "\(folder)/file"
            try Self.write("text", path, mode: 0o600)
            #expect(chown(path, 65534, 65534) == 0)
            #expect(Self.reason(path, .published) == nil)
            #expect(Self.reason(path, .ours) == .foreignOwner && Self.reason(path, .secret) == .foreignOwner)
        }
    }

    /// On an NFS server a client's delegation is such a lease.
    @Test func `a file with a lease is opened once its holder has given it up`() throws {
        // F_SETLEASE and F_GETLEASE, which Glibc does not export.
        let (setLease, getLease): (Int32, Int32) = (1024, 1025)
        signal(SIGIO, SIG_IGN)
        try Self.with { folder in
            let path = "\(folder)/file"
            try Self.write("text", path, mode: 0o600)
            let holder = open(path, O_RDWR | O_CLOEXEC)
            try #require(fcntl(holder, setLease, F_WRLCK) == 0)
            let mayOpen = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
            #expect(mayOpen < 0 && errno == EWOULDBLOCK, "the lease has no effect on this file system")
            Blocking.detach("lease-holder") {
                // The kernel asks the holder to give the lease up: it shows as one for reading.
                while fcntl(holder, getLease) == F_WRLCK { usleep(1000) }
                close(holder)
            }
            #expect(Self.reason(path, .published) == nil)
        }
    }

    @Test func `links are followed only to our own files, and FIFOs and folders are refused`() throws {
        try Self.with { folder in
            let (file, link) = ("\(folder)/file", "\(folder)/link")
            try Self.write("text", file, mode: 0o600)
            #expect(symlink(file, link) == 0 && mkfifo("\(folder)/fifo", 0o600) == 0)
            #expect(Self.reason(link, .published) == .notRegular && Self.reason(link, .secret) == .notRegular)
            #expect(Self.reason(link, .ours) == nil)
            for trust in [SafeFile.Trust.published, .ours, .secret] {
                #expect(Self.reason("\(folder)/fifo", trust) == .notRegular)
                #expect(Self.reason(folder, trust) == .notRegular)
                #expect(Self.reason("\(folder)/missing", trust) == .system(ENOENT))
            }
        }
    }

    @Test func `a file larger than the limit is refused`() throws {
        try Self.with { folder in
            try Self.write(String(repeating: "x", count: 101), "\(folder)/file", mode: 0o600)
            #expect(Self.reason("\(folder)/file", .published) == .larger(than: 100))
        }
    }

    @Test func `a state file keeps its value, and reports damage instead of an empty value`() throws {
        try Self.with { folder in
            let file = StateFile<[String]>(path: "\(folder)/new/state.json")
            #expect(try file.read() == nil)
            try file.replace(["a/b", "c"])
            #expect(try file.read() == ["a/b", "c"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/new") == ["state.json"])
            var status = stat()
            #expect(stat(file.path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            try Self.write("[\"a", file.path, mode: 0o600)
            let failure = #expect(throws: StateFile<[String]>.Failure.self) { try file.read() }
            guard case .damaged(file.path, _)? = failure else { throw try #require(failure) }
            try Self.write("[]", file.path, mode: 0o666)
            #expect(throws: StateFile<[String]>.Failure.self) { try file.read() }
        }
    }

    @Test func `a state file whose folder cannot be created reports the failure`() throws {
        try Self.with { folder in
            try Self.write("", "\(folder)/file", mode: 0o600)
            let file = StateFile<Int>(path: "\(folder)/file/below/state.json")
            let failure = #expect(throws: StateFile<Int>.Failure.self) { try file.replace(1) }
            guard case .unwritable(let cause)? = failure else { throw try #require(failure) }
            #expect(cause.code == ENOTDIR && cause.path == "\(folder)/file/below")
        }
    }

    @Test func `the version of NFS is that of the mount with the device`() {
        let mounts = """
            22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,vers=3
            80 22 0:50 / /mnt/old rw,relatime shared:40 - nfs nas:/old rw,vers=3,rsize=1048576,nolock,addr=10.0.0.1
            81 22 0:51 / /mnt/new\\040folder rw shared:41 master:2 - nfs4 nas:/new rw,vers=4.2,hard,addr=10.0.0.1
            """
        #expect(FileSystem.Mount(of: "0:50", in: mounts)?.nfsVersion == "3")
        #expect(FileSystem.Mount(of: "0:51", in: mounts)?.nfsVersion == "4.2")
        #expect(FileSystem.Mount(of: "0:51", in: mounts)?.type == "nfs4")
        #expect(FileSystem.Mount(of: "8:2", in: mounts)?.nfsVersion == nil)
        #expect(FileSystem.Mount(of: "0:5", in: mounts) == nil)
    }

    @Test func `a folder in memory is distinguished from one on a disk`() throws {
        #expect(FileSystem(of: "/nowhere/at/all").map(\.freeBytes) == nil)
        let memory = try #require(FileSystem(of: "/dev/shm"))
        #expect(memory.isInMemory && memory.freeBytes > 0)
        let kernel = try #require(FileSystem(of: "/proc"))
        #expect(!kernel.isInMemory && kernel.type == "proc" && kernel.nfsVersion == nil)
    }
}
