// SPDX-License-Identifier: Apache-2.0
import CLibvirt
import Hypervisor
import Testing

@testable import LibvirtDriver

/// The traits of each libvirt driver; an unsupported trait is refused and not replaced.
@Suite struct MigrationTraitsTests {
    private let tls = TLSParameters(targetName: "h2")
    private let current: UInt = 9_000_000

    private func flags(_ transport: Transport, _ type: String = "qemu", libvirt: UInt? = nil) throws -> UInt32 {
        try MigrationTraits.of(type).flags(for: transport, libvirt: libvirt ?? current, attempt: "migrate")
    }

    private func refusal(_ transport: Transport, _ type: String = "qemu", libvirt: UInt? = nil) -> HypervisorError? {
        #expect(throws: HypervisorError.self) { try flags(transport, type, libvirt: libvirt) }
    }

    @Test func `QEMU supports every trait`() throws {
        #expect(try flags(.direct(tls: nil, parallelConnections: nil)) == 0)
        #expect(try flags(.direct(tls: tls, parallelConnections: nil)) == VIR_MIGRATE_TLS.rawValue)
        let both = VIR_MIGRATE_TLS.rawValue | VIR_MIGRATE_PARALLEL.rawValue
        #expect(try flags(.direct(tls: tls, parallelConnections: 4)) == both)
        #expect(try flags(.tunnelled) == VIR_MIGRATE_TUNNELLED.rawValue)
    }

    @Test func `Xen supports neither TLS nor parallel connections`() throws {
        #expect(try flags(.direct(tls: nil, parallelConnections: nil), "xen") == 0)
        #expect(try flags(.tunnelled, "xen") == VIR_MIGRATE_TUNNELLED.rawValue)
        #expect(refusal(.direct(tls: tls, parallelConnections: nil), "xen")?.kind == .refused)
        #expect(refusal(.direct(tls: nil, parallelConnections: 2), "xen")?.kind == .refused)
    }

    @Test func `an old libvirt is not asked for features that it would ignore`() {
        #expect(refusal(.direct(tls: tls, parallelConnections: nil), libvirt: 5_010_000)?.kind == .refused)
        #expect(refusal(.direct(tls: nil, parallelConnections: 2), libvirt: 5_001_000)?.kind == .refused)
    }

    @Test(arguments: [0, -1, 256])
    func `impossible numbers of connections are refused`(count: Int) {
        #expect(refusal(.direct(tls: tls, parallelConnections: count))?.kind == .refused)
    }

    @Test func `TLS without a target name is refused`() {
        #expect(refusal(.direct(tls: TLSParameters(targetName: ""), parallelConnections: nil))?.kind == .refused)
    }
}
