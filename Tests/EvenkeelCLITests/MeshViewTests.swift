// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import EvenkeelCLI

/// The table of tunnels of `evenkeel mesh status`.
struct MeshViewTests {
    private let now = Instant(milliseconds: 1_000_000)
    private let hosts = Inventory(
        hosts: (1...2).map {
            InventoryHost(
                name: HostName("h\($0)"),
                address: "10.0.0.\($0)",
                innerAddress: "10.1.0.\($0)",
                libvirtURI: "mem://h\($0)"
            )
        }
    )

    private func sample(_ host: String, _ tunnel: TunnelStatus, secondsAgo: Int64 = 5) -> LoadSample {
        var sample = LoadSample(
            host: HostName(host),
            at: now - .seconds(secondsAgo),
            cpu: CPULoad(capacityCores: 4, busyCores: 1)
        )
        sample.tunnels = [tunnel]
        return sample
    }

    private let up = TunnelStatus(
        peer: HostName("h2"),
        isUp: true,
        association: SecurityAssociation(
            localIdentity: "h1",
            peerIdentity: "h2",
            inboundSPI: "1",
            outboundSPI: "2",
            suite: "AES_GCM_16-256",
            ikeSuite: "IKEv2",
            mode: .tunnel,
            implementation: .kernel,
            encapsulated: true
        ),
        ageSeconds: 754,
        rekeySeconds: 2846,
        inbound: TrafficCounters(bytes: 7 << 10, packets: 9),
        outbound: TrafficCounters(bytes: 300 << 20, packets: 9)
    )
    private let down = TunnelStatus(peer: HostName("h1"), isUp: false, trouble: "no SA is installed")

    /// The last move from h1 to h2, and an older one.
    private var moves: [FleetView.Move] {
        [(30, 64), (90, 200)].map { secondsAgo, mebibytes in
            let order = MigrationOrder(
                id: OrderID("o\(secondsAgo)"),
                vm: VMID("u"),
                vmName: "web1",
                source: HostName("h1"),
                target: HostName("h2"),
                channel: .ipsec,
                issuedAt: now,
                expires: now,
                issuer: .operator,
                reason: "a test"
            )
            let evidence = Evidence(
                channel: .ipsec,
                bytesOnPath: UInt64(mebibytes + 2) << 20,
                bytesByHypervisor: UInt64(mebibytes) << 20,
                verdict: .covered
            )
            return FleetView.Move(
                order: order,
                stage: .done,
                changedAt: now - .seconds(Int64(secondsAgo)),
                evidence: evidence
            )
        }
    }

    /// Returns the cells of the lines, by their headings.
    private func table(_ text: String) throws -> [[String: String]] {
        let lines = text.split(separator: "\n").map { $0.split(separator: /\s{2,}/).map(String.init) }
        let heading = try #require(lines.first)
        return lines.dropFirst().map { Dictionary(zip(heading, $0)) { $1 } }
    }

    @Test func `each pair is shown with age, rekeying, traffic and the last move's evidence`() throws {
        let view = MeshView(samples: [sample("h1", up), sample("h2", down)], moves: moves, hosts: hosts, at: now)
        #expect(!view.isWhole)
        let rows = try table(view.text)
        try #require(rows.count == 2)
        #expect(
            rows[0] == [
                "FROM": "h1", "TO": "h2", "STATE": "up", "SUITE": "AES_GCM_16-256", "MODE": "TUNNEL", "ESP": "kernel",
                "AGE": "754 s", "REKEY IN": "2846 s", "OUT": "307200 KiB", "IN": "7 KiB", "LAST MOVE": "30.0 s ago",
                "EVIDENCE": "covered (66 of 64 MiB)",
            ]
        )
        #expect(rows[1]["FROM"] == "h2" && rows[1]["TO"] == "h1" && rows[1]["STATE"] == "DOWN: no SA is installed")
        for column in ["SUITE", "AGE", "REKEY IN", "OUT", "IN", "LAST MOVE", "EVIDENCE"] {
            #expect(rows[1][column] == "-", "\(column)")
        }
    }

    @Test func `a host without recent reports is named and not shown`() throws {
        let samples = [sample("h1", up), sample("h2", down, secondsAgo: 91)]
        let view = MeshView(samples: samples, moves: [], hosts: hosts, at: now)
        #expect(!view.isWhole && view.silent == [HostName("h2")])
        #expect(view.text.hasSuffix("h2: no report in the last 90 s; is evenkeel-agent running there?"))
        #expect(MeshView(samples: [sample("h1", up)], moves: [], hosts: Inventory(hosts: []), at: now).isWhole)
    }
}
