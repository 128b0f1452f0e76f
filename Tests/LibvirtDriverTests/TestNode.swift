// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import LibvirtDriver

/// A host of libvirt's test driver with one domain in a given libvirt state.
struct TestNode {
    let hypervisor: LibvirtHypervisor
    let vm = VMID("aaaaaaaa-0000-4000-8000-00000000000a")

    /// `more` is inside the domain, `networks` next to it.
    init(
        state: Int,
        memory: String = "<memory unit='MiB'>64</memory>",
        more: String = "",
        networks: String = ""
    ) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "evenkeel-\(UUID().uuidString).xml")
        let xml = """
            <node><domain type='test' xmlns:testdriver='http://libvirt.org/schemas/domain/test/1.0'>
              <name>web1</name><uuid>\(vm)</uuid>\(memory)<vcpu>1</vcpu><os><type>hvm</type></os>
              <testdriver:runstate>\(state)</testdriver:runstate>\(more)
            </domain>\(networks)</node>
            """
        try Data(xml.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        hypervisor = LibvirtHypervisor(uri: "test://\(file.path)")
        // The driver reads the file when the connection is opened.
        _ = try await hypervisor.facts()
    }
}
