// SPDX-License-Identifier: Apache-2.0
package import Fleet
package import Hypervisor

extension HypervisorFacts {
    package static let testDriver = Self(
        type: "test",
        version: 2,
        libvirtVersion: 9_000_000,
        architecture: "x86_64",
        cpuModel: nil
    )
}

extension VMRequirements {
    /// Returns an ordinary VM of libvirt's test driver.
    package static func onTestDriver(id: String = "6695eb01-f6a4-8304-79aa-97f2502e1930", name: String = "web1") -> Self
    {
        Self(
            id: VMID(id),
            name: name,
            domainType: "test",
            hypervisor: .testDriver,
            emulator: nil,
            machine: "",
            architecture: "x86_64",
            vcpus: 1,
            memoryBytes: 1 << 30,
            cpuXML: nil,
            disks: [],
            networks: []
        )
    }
}

extension MigrationRequest {
    package static func sample(_ vm: VMID, to host: String = "h2", stall: Duration = .seconds(60)) -> Self {
        Self(
            vm: vm,
            peerURI: "mem://\(host)",
            migrateURI: "tcp://192.0.2.2",
            listenAddress: "192.0.2.2",
            transport: .direct(tls: nil, parallelConnections: nil),
            timeLimit: .seconds(60),
            stallLimit: stall,
            maxDowntime: .milliseconds(300)
        )
    }
}
