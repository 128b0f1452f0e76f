// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Foundation
import Logging
import Testing

@Suite struct ClosureFileTests {
    private let closure = ClosedChannels.Closure(
        order: OrderID("o1"),
        path: Path(source: HostName("h1"), target: HostName("h2")),
        channel: .tls,
        at: Instant(milliseconds: 7)
    )

    private func with(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-closures-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("agent.closed").path)
    }

    @Test func `what was kept is read by the next life, until it is cleared`() async throws {
        try await with { path in
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

    @Test func `a damaged file is told of and left as it is`() async throws {
        try await with { path in
            var file = ClosureFile(path: path)
            try file.keep([closure])
            try Data("[{".utf8).write(to: URL(fileURLWithPath: path))
            var next = ClosureFile(path: path)
            let error = #expect(throws: FleetFileError.self) { try next.read() }
            #expect(error?.description.contains("remove it once every leak in it is cleared") == true)
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let service = LocalClosures(path: path, logger: logger)
            #expect(await service.read() == [])
            let damage = try #require(await service.damage)
            #expect(damage.description.contains("no protected move starts"))
            await service.keep([closure])
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "[{")
        }
    }
}
