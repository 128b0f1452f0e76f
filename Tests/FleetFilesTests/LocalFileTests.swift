// SPDX-License-Identifier: Apache-2.0
import FleetFiles
import Foundation
import TestSupport
import Testing

@Suite struct LocalFileTests {
    @Test func `a failure to write is logged once, and its end, and again after a success`() async throws {
        try await withFolder { folder in
            let log = LogCapture()
            let file = LocalFile<[Int]>(path: "\(folder)/state/file", of: "numbers", logger: log.logger("test"))
            let blocker = URL(fileURLWithPath: "\(folder)/state")
            // A file where the folder should be.
            try Data().write(to: blocker)
            #expect(await file.replace([1]) == false)
            #expect(await file.replace([1]) == false)
            #expect(log.count("cannot write the numbers") == 1)
            try FileManager.default.removeItem(at: blocker)
            #expect(log.count("the numbers can be written again") == 0)
            #expect(await file.replace([1]))
            #expect(await file.replace([1]))
            #expect(log.count("the numbers can be written again") == 1)
            #expect(try await file.read() == [1])
            try FileManager.default.removeItem(at: blocker)
            try Data().write(to: blocker)
            #expect(await file.replace([2]) == false)
            #expect(log.count("cannot write the numbers") == 2)
        }
    }
}
