// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import FleetFiles
import TestSupport
import Foundation
import Ledger
import Testing

@testable import EvenkeelCLI

/// The tables of the commands for fixed values.
struct GoldenViewTests {
    private let now = Instant(milliseconds: 1_795_687_216_000)

    private let leak = Evidence(
        channel: .ipsec,
        bytesOnPath: 1000,
        bytesByHypervisor: 90_000,
        verdict: .leak
    )

    private func vm(_ number: Int, cores: Double) -> VMSample {
        VMSample(
            id: VMID("uuid-\(number)"),
            name: "web\(number)",
            state: .running,
            cpuCores: cores,
            vcpus: 4,
            memoryBytes: 4 << 30
        )
    }

    /// Half an hour in which h1 was overloaded and h2 was not; h3 stopped reporting.
    private func samples() -> [LoadSample] {
        stride(from: 1800, through: 0, by: -5).flatMap { secondsAgo -> [LoadSample] in
            func sample(_ host: String, _ cores: Double, _ vms: [VMSample]) -> LoadSample {
                LoadSample(
                    host: HostName(host),
                    at: now - .seconds(secondsAgo),
                    intervalSeconds: 5,
                    cpu: CPULoad(capacityCores: 8, busyCores: cores),
                    memory: MemoryLoad(totalBytes: 32 << 30, usedBytes: 12 << 30, availableBytes: 20 << 30),
                    vms: vms,
                    channels: [.ipsec]
                )
            }
            let both = [
                sample("h1", 7.6, [vm(1, cores: 3.75), vm(2, cores: 3.7)]), sample("h2", 1.2, [vm(3, cores: 1)]),
            ]
            return secondsAgo > 600 ? both + [sample("h3", 2, [])] : both
        }
    }

    private func core() -> ControllerCore {
        var core = ControllerCore(policy: Policy())
        let orders: [(MigrationOrder, Evidence?)] = [
            (
                .sample("o1", vm: VMID("uuid-3"), named: "web3", from: "h1", to: "h2", at: now - .seconds(900)),
                .sound(at: now - .seconds(890))
            ),
            (.sample("o2", vm: VMID("uuid-2"), named: "web2", from: "h2", to: "h1", at: now - .seconds(700)), leak),
            (.sample("o3", vm: VMID("uuid-1"), named: "web1", from: "h1", to: "h2", at: now - .seconds(500)), nil),
        ]
        for sample in samples() { _ = core.handle(.sample(sample, at: now)) }
        for (order, evidence) in orders {
            _ = core.handle(.order(.migrate(order: order)))
            let at = order.issuedAt + .seconds(10)
            for report in evidence.map({ order.reports(of: $0, at: at) }) ?? [] {
                _ = core.handle(.report(report, at: at))
            }
        }
        return core
    }

    /// A torn line of h2, and two lines that h1 has not signed.
    private var remarks: LedgerRemarks {
        var remarks = LedgerRemarks()
        let place = Cursor(segment: 1, offset: 4096)
        let h1 = LedgerWriter.host(HostName("h1"))
        for _ in 0..<2 {
            remarks.add(SkippedLine(at: place, bytes: 300, writer: h1, reason: .refused(.unsigned)), in: .load)
        }
        remarks.add(SkippedLine(at: place, bytes: 20, writer: .host(HostName("h2")), reason: .torn), in: .reports)
        return remarks
    }

    @Test func `status shows hosts, VMs, moves, closed channels and rejected records`() throws {
        try Golden.expect(FleetView(core(), at: now, remarks: remarks).text(), "status.txt")
        try Golden.expect(FleetView(ControllerCore(policy: Policy()), at: now).text(), "status-empty.txt")
    }

    @Test func `ledger check shows rejected records`() throws {
        try Golden.expect(LedgerTally(remarks.entries).text, "ledger-check.txt")
        try Golden.expect(LedgerTally([]).text, "ledger-check-sound.txt")
    }

    @Test func `mesh status shows each tunnel`() throws {
        let up = TunnelStatus(
            peer: HostName("h2"),
            isUp: true,
            association: .sample,
            ageSeconds: 754,
            rekeySeconds: 2846,
            inbound: TrafficCounters(bytes: 7 << 10, packets: 9),
            outbound: TrafficCounters(bytes: 300 << 20, packets: 9)
        )
        let down = TunnelStatus(peer: HostName("h1"), isUp: false, trouble: "no SA is installed")
        let heard = [("h1", up), ("h2", down)].map { host, tunnel in
            LoadSample(host: HostName(host), at: now - .seconds(5), tunnels: [tunnel])
        }
        let hosts = Inventory(
            hosts: (1...3).map {
                InventoryHost(
                    name: HostName("h\($0)"),
                    address: "10.0.0.\($0)",
                    innerAddress: "10.78.0.\($0)",
                    libvirtURI: "qemu+tls://h\($0)/system"
                )
            }
        )
        let moves = FleetView(core(), at: now).moves
        try Golden.expect(
            MeshView(samples: heard, moves: moves, hosts: hosts, at: now).text,
            "mesh-status.txt"
        )
    }

    @Test func `verify shows each move, its findings and the result`() throws {
        var noProbe = Evidence.sound(at: now)
        noProbe.probes = []
        let checks = [("o1", .sound(at: now)), ("o2", leak), ("o3", noProbe)].map { id, evidence in
            let order = MigrationOrder.sample(id, at: now)
            return EvidenceCheck(order, reports: order.reports(of: evidence, at: now), certificates: nil)
        }
        let failed = VerificationView(
            moves: checks.map(VerificationView.Move.init),
            refusals: remarks.entries,
            failed: true
        )
        try Golden.expect(failed.text, "verify.txt")
        let sound = VerificationView(
            moves: checks.prefix(1).map(VerificationView.Move.init),
            refusals: [],
            failed: false
        )
        try Golden.expect(sound.text, "verify-sound.txt")
        try Golden.expect(VerificationView(moves: [], refusals: [], failed: false).text, "verify-empty.txt")
    }
}

/// The tables of `plan` and `place`, for a fleet in a file.
struct GoldenPlanTests {
    private static let snapshot = """
        {
          "format": "evenkeel-snapshot",
          "version": 1,
          "hosts": [
            {"name": "h1", "cores": 16, "memoryBytes": 68719476736},
            {"name": "h2", "cores": 16, "memoryBytes": 68719476736},
            {"name": "h3", "cores": 16, "memoryBytes": 68719476736, "mode": "maintenance"}
          ],
          "vms": [
            {"id": "web-1", "host": "h1", "cores": 7, "memoryBytes": 8589934592, "vcpus": 8},
            {"id": "web-2", "host": "h1", "cores": 7, "memoryBytes": 8589934592, "vcpus": 8},
            {"id": "db-1", "host": "h3", "cores": 2, "memoryBytes": 60129542144, "vcpus": 8},
            {"id": "db-2", "host": "h3", "cores": 2, "memoryBytes": 8589934592, "vcpus": 2}
          ]
        }
        """

    private func plan(_ change: (inout Policy, inout FleetModel) -> Void = { _, _ in }) throws -> PlanView {
        var policy = Policy()
        var model = try SnapshotFile.read(Data(Self.snapshot.utf8), name: "fleet").model
        change(&policy, &model)
        let planner = Planner(policy: policy)
        let input = FleetInput(name: "fleet", model: model, policy: policy)
        return PlanView(planner.plan(for: model), of: input, planner: planner, seed: 0)
    }

    @Test func `plan shows hosts, effect, moves and refusals`() throws {
        try Golden.expect(plan().text(), "plan.txt")
    }

    @Test func `plan without a move shows why`() throws {
        try Golden.expect(plan { $1.vms = [] }.text(), "plan-empty.txt")
    }

    @Test func `place shows the hosts for a new VM, or why none is suitable`() throws {
        let planner = Planner(policy: Policy())
        let model = try SnapshotFile.read(Data(Self.snapshot.utf8), name: "fleet").model
        func text(memoryGiB: UInt64) -> String {
            let vm = VirtualMachine(
                id: VMID("new"),
                name: "new VM",
                host: HostName(""),
                demand: Resources(cpuCores: 2, memoryBytes: memoryGiB << 30),
                vcpus: 2
            )
            let choices = planner.bestHosts(for: vm, in: model)
            let possible = choices.filter { $0.obstacle == nil }
            let shown = possible.isEmpty ? choices : possible
            return PlaceCommand.text(shown, possible: possible.count, of: choices.count)
        }
        try Golden.expect(text(memoryGiB: 4), "place.txt")
        try Golden.expect(text(memoryGiB: 400), "place-none.txt")
    }
}
