// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Testing

/// The controller's lock is in the ledger's folder, where others can create files.
@Suite(.timeLimit(.minutes(1))) struct ProcessLockTests {
    @Test(arguments: [true, false]) func `a lock that is a link or FIFO is refused, and no file is created`(
        isLink: Bool
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-lock-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/controller.lock"
        if isLink {
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "\(folder)/victim")
        } else {
            #expect(mkfifo(path, 0o600) == 0)
        }
        #expect(throws: ProcessLock.Failure.self) { _ = try ProcessLock(path: path, purpose: "controller") }
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/victim"))
        try FileManager.default.removeItem(atPath: path)
        _ = try ProcessLock(path: path, purpose: "controller")
    }

    @Test(arguments: Loss.allCases) func `the loss of a lock is noticed`(_ loss: Loss) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-lock-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/controller.lock"
        let lock = try ProcessLock(path: path, purpose: "controller")
        try lock.check()
        try lock.check()
        switch loss {
        case .removed: try FileManager.default.removeItem(atPath: path)
        case .replaced:
            try FileManager.default.removeItem(atPath: path)
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
        case .released:
            for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
                let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
                if link?.hasSuffix(path) == true, let descriptor = Int32(name) { flock(descriptor, LOCK_UN) }
            }
        }
        #expect {
            try lock.check()
        } throws: { error in
            guard case .lost(path, _) = error as? ProcessLock.Failure else { return false }
            return true
        }
    }

    enum Loss: CaseIterable { case removed, replaced, released }
}
