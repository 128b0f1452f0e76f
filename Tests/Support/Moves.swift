// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension VMRequirements {
    /// Returns a small VM without disks and networks.
    public static func sample(_ id: VMID = VMID("uuid-1"), name: String = "vm1", memoryBytes: UInt64 = 1 << 27) -> Self
    {
        Self(
            id: id,
            name: name,
            domainType: "kvm",
            hypervisor: HypervisorFacts(
                type: "qemu",
                version: 7_002_000,
                libvirtVersion: 9_000_000,
                architecture: "x86_64",
                cpuModel: nil
            ),
            emulator: nil,
            machine: "pc-q35-7.2",
            architecture: "x86_64",
            vcpus: 1,
            memoryBytes: memoryBytes,
            cpuXML: nil,
            disks: [],
            networks: []
        )
    }
}

extension MigrationOrder {
    /// Returns an order over IPsec.
    public static func sample(
        _ id: String = "o1",
        vm: VMID = VMID("uuid-1"),
        named name: String = "vm1",
        from source: String = "h1",
        to target: String = "h2",
        at instant: Instant,
        lifetime: Duration = .seconds(60),
        issuer: Issuer = .operator
    ) -> Self {
        Self(
            id: OrderID(id),
            vm: vm,
            vmName: name,
            source: HostName(source),
            target: HostName(target),
            channel: .ipsec,
            issuedAt: instant,
            expires: instant + lifetime,
            issuer: issuer,
            reason: "a test"
        )
    }

    /// Returns the reports of source and target on a move with this evidence, all with the same time.
    public func reports(of evidence: Evidence, at instant: Instant) -> [OrderReport] {
        let outcome = MigrationOutcome(
            startedAt: instant,
            endedAt: instant,
            bytesTransferred: evidence.bytesByHypervisor
        )
        let steps: [(HostName, OrderStep)] = [
            (source, .accepted(requirements: .sample(vm, name: vmName))), (target, .prepared()),
            (source, .running(progress: .begun)), (source, .done(outcome: outcome, evidence: evidence)),
        ]
        return steps.map { OrderReport(order: id, host: $0, at: instant, step: $1) }
    }
}

extension MigrationProgress {
    /// No data has been sent yet.
    public static let begun = Self(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
}

extension SecurityAssociation {
    /// A security association between h1 and h2.
    public static let sample = Self(
        localIdentity: "h1",
        peerIdentity: "h2",
        inboundSPI: "1",
        outboundSPI: "2",
        suite: "AES_GCM_16-256/CURVE_25519",
        ikeSuite: "IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519",
        mode: .tunnel,
        implementation: .kernel,
        encapsulated: false
    )
}

extension Evidence {
    /// Returns valid evidence of a move from h1 to h2 over IPsec.
    public static func sound(at instant: Instant) -> Self {
        Self(
            channel: .ipsec,
            proof: .tunnel(association: .sample, counters: nil, certificate: nil),
            bytesOnPath: 100_000,
            bytesByHypervisor: 90_000,
            droppedAtGates: 0,
            probes: [GateProbe(address: "10.0.0.2", port: 49152, at: instant, outcome: .shut)],
            verdict: .covered
        )
    }
}
