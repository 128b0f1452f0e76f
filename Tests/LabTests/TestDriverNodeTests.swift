// SPDX-License-Identifier: Apache-2.0
import Foundation
import HostOS
import Testing

@testable import Lab

struct TestDriverNodeTests {
    @Test func `libvirt's test driver runs all simulated VMs`() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "node-\(UUID().uuidString).xml").path
        try TestDriverNode(vms: 50).xml.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let list = ["--connect", "test://\(file)", "--quiet", "list", "--state-running", "--uuid"]
        let running = try await Command("virsh", list).run().split(whereSeparator: \.isWhitespace)
        #expect(Set(running).count == 50)
    }

    @Test func `no VMs are an empty host`() {
        #expect(TestDriverNode(vms: 0).xml == "<node>\n</node>\n")
    }
}
