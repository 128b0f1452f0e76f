// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Foundation
import Logging
import TestSupport
import Testing

@Suite struct LocalClosuresTests {
    private let closure = ClosedChannels.Closure(
        order: OrderID("o1"),
        path: Path(source: HostName("h1"), target: HostName("h2")),
        channel: .tls,
        at: Instant(milliseconds: 7)
    )

    @Test func `stored closures are read by the next run until they are cleared`() async throws {
        try await withFolder { folder in
            let path = "\(folder)/agent.closed"
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let first = LocalClosures(path: path, logger: logger)
            #expect(await first.read() == [])
            await first.keep([closure])
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let second = LocalClosures(path: path, logger: logger)
            #expect(await second.read() == [closure])
            await second.keep([])
            #expect(await LocalClosures(path: path, logger: logger).read() == [])
        }
    }

    @Test func `a damaged file is reported and left as it is`() async throws {
        try await withFolder { folder in
            let path = "\(folder)/agent.closed"
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            await LocalClosures(path: path, logger: logger).keep([closure])
            try Data("[{".utf8).write(to: URL(fileURLWithPath: path))
            let service = LocalClosures(path: path, logger: logger)
            #expect(await service.read() == [])
            let damage = try #require(await service.damage)
            #expect(damage.description.contains("no protected move starts"))
            #expect(damage.description.contains("remove it once every leak in it is cleared"))
            await service.keep([closure])
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "[{")
        }
    }
}
