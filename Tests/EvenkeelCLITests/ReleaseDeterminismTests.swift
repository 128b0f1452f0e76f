// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Simulation
import TestSupport
import Testing

/// The simulation does not depend on the build configuration.
struct ReleaseDeterminismTests {
    @Test(arguments: [UInt64(1), 7, 42])
    func `the release program writes the same event log byte for byte`(seed: UInt64) async throws {
        if let reason = Program.releaseIsMissing {
            print(
                "skipped: the release program is not compared with: \(reason) (swift build -c release --product evenkeel)"
            )
            return
        }
        var log = ""
        _ = try Torture().run(seed: seed) { log += $0 + "\n" }
        try await Program.inFolder { folder in
            let file = folder.appendingPathComponent("log").path
            try await Command(
                Program.release.path,
                ["simulate", "--torture", "1", "--seed", "\(seed)", "--log", file]
            ).run()
            let written = try Data(contentsOf: URL(fileURLWithPath: file))
            #expect(written.count > 1000)
            #expect(written == Data(log.utf8), "seed \(seed)")
        }
    }
}
