// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Settings
import Testing

/// Moves over every channel through the agents, and forbidden moves; all in one lab, as labs take minutes.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("ChannelTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct ChannelTests {
    @Test(.timeLimit(.minutes(10)))
    func `every channel moves with evidence, and none moves without the target's proof`() async throws {
        let plan = LabPlan(
            hosts: [HostPlan(number: 1, cores: 0.9), HostPlan(number: 2, cores: 0.9)],
            guests: [GuestPlan(number: 1, host: HostName("h1"))]
        )
        try await TestLab.with(plan) { world in
            try await world.lab.waitForSamples()
            try await expectMove(world, over: .tls, from: "h1", to: "h2")
            try await expectMove(world, over: .ipsecTLS, from: "h2", to: "h1")
            try await expectMove(world, over: .ssh, from: "h1", to: "h2")
            try await expectMove(world, over: .ipsec, from: "h2", to: "h1")
            // A user's later check of the ledger.
            let verify = ["verify", "--config", world.lab.configurationFile]
            let verified = try await Command(world.programs.evenkeel, verify, timeLimit: .seconds(30)).result()
            #expect(verified.succeeded, "\(verified.standardOutput)\(verified.standardError)")

            try await refuseUnknownHostKey(world)
            try await refuseWithoutTLS(world)
            try await refuseForeignCertificate(world)
            try await refuseUnconfigured(world)
        }
    }

    // MARK: moves

    private func expectMove(
        _ world: TestLab,
        over channel: Channel,
        from source: String,
        to target: String
    ) async throws {
        let guest = try world.guest("vm1")
        let move = try await world.lab.move(guest, to: HostName(target), channel: channel)
        guard let outcome = move.outcome, let evidence = move.evidence else {
            throw TestLab.Unexpected("\(channel.rawValue): \(move.failure?.text ?? "no end")")
        }
        #expect(move.order.source == HostName(source))
        print("\(channel.rawValue): \(outcome.bytesTransferred.map(String.init) ?? "?") bytes sent, \(evidence)")
        try await world.expect("vm1", on: target)
        #expect(evidence.channel == channel && evidence.verdict == .covered, "\(channel): \(evidence)")
        let sent = try #require(evidence.bytesByHypervisor)
        let through = try #require(evidence.bytesOnPath)
        #expect(sent > 1 << 20 && through >= sent, "\(channel): \(through) of \(sent)")
        let probes = evidence.probes
        #expect(probes.count == 2 && probes.allSatisfy { $0.outcome == .shut }, "\(channel): \(probes)")
        let probeSeconds = try #require(move.probeSeconds)
        print("\(channel.rawValue): probes \(probeSeconds) s, pinhole \(move.pinholeSeconds ?? 0) s")
        #expect(probeSeconds >= 0.12, "\(channel)")
        if channel.usesMigrationPorts {
            #expect(try #require(move.pinholeSeconds) > 0, "\(channel)")
        } else {
            #expect(move.pinholeSeconds == nil, "\(channel)")
        }
        #expect(evidence.droppedAtGates != nil, "\(channel)")

        #expect((evidence.proof.association != nil) == [.ipsec, .ipsecTLS].contains(channel), "\(channel)")
        if let association = evidence.proof.association { #expect(association.suite.contains("AES_GCM_16-256")) }
        #expect((evidence.proof.certificate != nil) == (channel != .ssh), "\(channel)")
        if let certificate = evidence.proof.certificate { #expect(certificate.subject == "CN=\(target)", "\(channel)") }
        switch evidence.proof {
        case .session(let session, _, _) where channel == .tls,
            .tunnelledSession(_, _, let session, _) where channel == .ipsecTLS:
            #expect(session.version == "TLSv1.3", "\(channel)")
        case .hostKey(let hostKey, let session, _) where channel == .ssh:
            #expect(session == SessionFacts(version: "SSH-2.0", suite: "aes256-gcm@openssh.com"))
            #expect(hostKey.hasPrefix("ssh-ed25519 SHA256:"))
        case .tunnel where channel == .ipsec: break
        default: Issue.record("\(channel): \(evidence.proof)")
        }
    }

    // MARK: refusals

    /// Expects the VM to stay on h1 and the reason to contain `text`.
    private func expectRefusal(_ world: TestLab, over channel: Channel, saying text: String) async throws {
        let move = try await world.lab.move(world.guest("vm1"), to: HostName("h2"), channel: channel)
        let failure = try #require(move.failure, "\(channel) was carried out")
        #expect(failure.text.contains(text), "\(channel): \(failure.text)")
        #expect(failure.evidence?.bytesByHypervisor == nil)
        try await world.expect("vm1", on: "h1")
    }

    private func refuseUnknownHostKey(_ world: TestLab) async throws {
        let target = try world.host("h2")
        let key = "/etc/ssh/ssh_host_ed25519_key"
        try await target.run(Command("sh", ["-ec", "cp -p \(key) \(key).old; rm \(key)"]))
        try await target.run(Command("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]))
        try await target.killSSH()
        try await target.startSSH()
        try await expectRefusal(world, over: .ssh, saying: "Host key verification failed")
        try await target.killSSH()
        try await expectRefusal(world, over: .ssh, saying: "Connection refused")
        try await target.run(Command("mv", ["\(key).old", key]))
        try await target.startSSH()
    }

    private func refuseWithoutTLS(_ world: TestLab) async throws {
        let target = try world.host("h2")
        let rules = """
            table inet test { chain input { type filter hook input priority -50; \
            tcp dport 16514 reject with tcp reset; }; }
            """
        try await target.run(Command("nft", [rules]))
        for channel in [Channel.tls, .ipsecTLS] {
            try await expectRefusal(world, over: channel, saying: "no protected path to h2")
        }
        try await target.run(Command("nft", ["delete", "table", "inet", "test"]))
    }

    /// h2 has a certificate in its own name, but of its own authority.
    private func refuseForeignCertificate(_ world: TestLab) async throws {
        let target = try world.host("h2")
        let (ca, server) = ("/etc/pki/CA/cacert.pem", "/etc/pki/libvirt/servercert.pem")
        let key = "/etc/pki/libvirt/private/serverkey.pem"
        let forge = """
            cp -a /etc/pki /run/pki; cd /run
            make="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
            $make -x509 -days 2 -subj /CN=Other -keyout other.key -out \(ca) 2>&1
            $make -subj /CN=h2 -keyout \(key) -out h2.csr 2>&1
            printf 'basicConstraints=critical,CA:FALSE\\nsubjectAltName=DNS:h2,IP:\(target.address)\\n' >h2.ext
            openssl x509 -req -in h2.csr -CA \(ca) -CAkey other.key -set_serial 1 -days 2 -extfile h2.ext -out \(server) 2>&1
            virt-admin server-update-tls libvirtd
            """
        try await target.run(Command("sh", ["-ec", forge]))
        for channel in [Channel.tls, .ipsecTLS] {
            try await expectRefusal(world, over: channel, saying: "verify")
        }
        let putBack = "cp -a /run/pki/. /etc/pki/; virt-admin server-update-tls libvirtd"
        try await target.run(Command("sh", ["-ec", putBack]))
        try await expectMove(world, over: .tls, from: "h1", to: "h2")
        try await expectMove(world, over: .tls, from: "h2", to: "h1")
    }

    private func refuseUnconfigured(_ world: TestLab) async throws {
        var settings = world.settings
        settings.escort.channels = [.ipsec]
        for name in ["h2", "h1"] {
            let host = try world.host(name)
            try await host.killAgent()
            try await world.lab.startAgent(on: host, world.programs, settings: settings)
            // First only the target lacks it, then the source.
            try await expectRefusal(world, over: .tls, saying: "escort.channels")
            try await host.killAgent()
            try await world.lab.startAgent(on: host, world.programs, settings: world.settings)
        }
    }
}
