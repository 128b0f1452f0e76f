// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import Settings
import TestSupport

@testable import HostAgent

let h1 = HostName("h1")
let h2 = HostName("h2")
let vm = VMID("6695eb01-f6a4-8304-79aa-97f2502e1930")

extension VMRequirements {
    /// A small VM without special features.
    static func testVM(
        _ id: VMID = vm,
        name: String = "web1",
        memory: UInt64 = 1 << 20,
        disks: [DiskSource] = [],
        files: [DiskFile] = [],
        networks: [NetworkSource] = []
    ) -> Self {
        Self(
            id: id,
            name: name,
            domainType: "test",
            hypervisor: .sample,
            emulator: nil,
            machine: "",
            architecture: "x86_64",
            vcpus: 1,
            memoryBytes: memory,
            cpuXML: nil,
            disks: disks,
            files: files,
            networks: networks
        )
    }
}

extension HypervisorFacts {
    static let sample = Self(
        type: "test",
        version: 2,
        libvirtVersion: 9_000_000,
        architecture: "x86_64",
        cpuModel: nil
    )
}

extension InMemoryWorld {
    /// The hosts h1 and h2 of the inventory below.
    static func sample(networks: [String] = []) -> InMemoryWorld {
        InMemoryWorld(
            hosts: [h1, h2].map {
                InMemoryHost(name: $0, uri: "mem://\($0)", memoryBytes: 1 << 34, facts: .sample, networks: networks)
            }
        )
    }
}

extension Settings {
    /// Returns an agent's settings with a short poll interval.
    static func sample(allowPlain: Bool = false) -> Settings {
        var settings = Settings()
        settings.inventory = Inventory(
            hosts: [h1, h2].enumerated().map { index, name in
                InventoryHost(
                    name: name,
                    address: "192.0.2.\(index + 1)",
                    innerAddress: "198.51.100.\(index + 1)",
                    libvirtURI: "mem://\(name)"
                )
            }
        )
        settings.ledger.pollInterval = .milliseconds(20)
        settings.sampling.interval = .milliseconds(100)
        settings.escort.allowPlain = allowPlain
        // The target's checks read the memory of this machine, however much of it is in use.
        settings.policy.memory.upper = 1
        return settings
    }
}

extension MigrationOrder {
    static func testOrder(
        _ id: String = "o1",
        vm: VMID = HostAgentTests.vm,
        from source: HostName = h1,
        to target: HostName = h2,
        channel: Channel = .plain,
        issuer: Issuer = .operator,
        at: Instant = Instant(milliseconds: 0),
        lifetime: Duration = .seconds(600)
    ) -> Self {
        Self(
            id: OrderID(id),
            vm: vm,
            vmName: "web1",
            source: source,
            target: target,
            channel: channel,
            issuedAt: at,
            expires: at + lifetime,
            issuer: issuer,
            reason: "a test"
        )
    }
}

/// Returns fixed memory figures and nothing else.
struct FixedMemory: ResourceSource {
    var load: MemoryLoad?

    func cpu() throws(SourceError) -> CPUCounter { throw SourceError(description: "no CPU figures here") }
    func memory() throws(SourceError) -> MemoryLoad {
        guard let load else { throw SourceError(description: "cannot open /fixture/meminfo") }
        return load
    }
    func pressure() throws(SourceError) -> Pressure? { nil }
    func loadAverage() throws(SourceError) -> LoadAverage? { nil }
}
