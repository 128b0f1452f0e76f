// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Lab

@Suite struct LabOwnerTests {
    @Test(.enabled(if: geteuid() == 0, "a lab's folder is in /var/lib: needs root"))
    func `a site belongs to the process that claimed it, and is in use by no other`() throws {
        let site = LabSite(name: "evenkeel-owner-\(UUID().uuidString)", shortName: "eko")
        defer { try? FileManager.default.removeItem(atPath: site.stateFolder) }
        #expect(LabState.owner(of: site) == nil)
        #expect(throws: Never.self) { try LabState.requireUnclaimed(site) }
        try LabState.claim(site)
        #expect(LabState.owner(of: site) == getpid())
        #expect(HostLab.user(of: site) == nil)
        let error = #expect(throws: LabError.self) { try HostLab.requireNone(at: site) }
        guard case .alreadyUp(let owner, site.stateFolder)? = error else { throw try #require(error) }
        #expect(owner.contains("process \(getpid())"))
    }
}
