// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger
import Testing

/// Faults of the file system.
///
/// The tests mount small file systems, which needs root.
@Suite(
    .enabled(if: geteuid() == 0, "mounting a file system needs root"),
    .timeLimit(.minutes(2))
)
struct SharedLogStorageTests {
    /// Runs the body with the path of a ledger on a tmpfs of 256 KiB.
    private func withSmallStorage(_ body: (String) async throws -> Void) async throws {
        try await withTemporaryFolder { mountPoint in
            try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: false)
            try #require(mount("ek-ledger-test", mountPoint, "tmpfs", 0, "size=256k") == 0)
            defer { umount2(mountPoint, Int32(MNT_DETACH)) }
            let folder = "\(mountPoint)/ledger"
            try await SharedLog.create(folder: folder)
            try await body(folder)
        }
    }

    @Test
    func `a full disk is reported and leaves no torn line`() async throws {
        try await withSmallStorage { folder in
            let ballast = "\(folder)/ballast"
            try put([UInt8](repeating: 1, count: 64 << 10), into: ballast)
            let log = SharedLog(folder: folder, writer: .host(HostName("h1")), security: .unsigned)
            let text = String(repeating: "x", count: 10_000)
            var confirmed = 0
            await #expect {
                for number in 1...100 {
                    try await log.append(report(number, text: text))
                    confirmed = number
                }
            } throws: { error in
                error as? LedgerError == .storageFull(path: "\(folder)/reports.000001.jsonl")
            }
            #expect(confirmed > 5)
            let full = try await log.all(OrderReport.self)
            #expect(full.records.map(\.body.number) == Array(1...confirmed))
            let bytes = try contents(of: "\(folder)/reports.000001.jsonl")
            #expect(Int64(bytes.count) == full.next.offset, "a part of a record was left in the file")

            try FileManager.default.removeItem(atPath: ballast)
            try await log.append(report(1000, text: text))
            let batch = try await log.all(OrderReport.self, from: full.next)
            #expect(batch.records.map(\.body.number) == [1000] && batch.skipped.isEmpty)
        }
    }

    @Test
    func `an unwritable folder is named, and the ledger stays readable`() async throws {
        try await withSmallStorage { folder in
            let log = SharedLog(folder: folder, writer: .host(HostName("h1")), security: .unsigned)
            try await log.append(report(1))
            let mountPoint = (folder as NSString).deletingLastPathComponent
            let readOnly = UInt(MS_REMOUNT | MS_RDONLY)
            try #require(mount("ek-ledger-test", mountPoint, "tmpfs", readOnly, nil) == 0)
            await #expect {
                try await log.append(report(2))
            } throws: { error in
                guard case .notPermitted("open", "\(folder)/reports.lock", _) = error as? LedgerError else {
                    return false
                }
                return true
            }
            #expect(try await log.all(OrderReport.self).records.map(\.body.number) == [1])
        }
    }
}
