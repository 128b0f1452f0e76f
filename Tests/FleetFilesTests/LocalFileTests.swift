// SPDX-License-Identifier: Apache-2.0
import Coordination
import Dispatch
import Fleet
import Foundation
import TestSupport
import Testing

@testable import FleetFiles

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

    @Test func `a disk that hangs stops protected moves, and holds up its caller once`() async throws {
        try await withFolder { folder in
            let log = LogCapture()
            let disk = DispatchQueue(label: "disk")
            let file = LocalFile<[ClosedChannels.Closure]>(
                path: "\(folder)/closed",
                of: "closed channels",
                logger: log.logger("test"),
                disk: disk,
                limit: .milliseconds(50)
            )
            let closures = LocalClosures(file, logger: log.logger("test"))
            let hang = DispatchSemaphore(value: 0)
            disk.async { hang.wait() }
            await closures.keep([.sample])
            let damage = await closures.damage
            #expect(damage.map { "\($0)".contains("its disk hung") } == true)
            #expect(await file.isHung)
            hang.signal()
            disk.sync {}
            // Nothing is written any more that could hang again.
            await closures.keep([])
            #expect(await file.isHung)
        }
    }
}

extension ClosedChannels.Closure {
    fileprivate static let sample = Self(
        order: OrderID("o1"),
        path: Path(source: HostName("h1"), target: HostName("h2")),
        channel: .tls,
        at: Instant(milliseconds: 7)
    )
}
