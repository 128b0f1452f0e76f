// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import HostOS
import TestSupport
import Testing

@testable import EvenkeelCLI

/// The report of a manual order's outcome.
@Suite struct ManualOrderTests {
    private func move(_ stage: FleetView.Stage, _ verdict: Evidence.Verdict) -> FleetView.Move {
        let now = Instant(milliseconds: 1_795_687_216_459)
        let order = MigrationOrder(
            id: OrderID("o1"),
            vm: VMID("u"),
            vmName: "web1",
            source: HostName("h1"),
            target: HostName("h2"),
            channel: .tls,
            issuedAt: now,
            expires: now,
            issuer: .operator,
            reason: "a test"
        )
        let evidence = Evidence(channel: .tls, bytesOnPath: 1, bytesByHypervisor: 2, verdict: verdict)
        return FleetView.Move(order: order, stage: stage, changedAt: now, evidence: evidence)
    }

    @Test func `a move is reported as a success only if it was made and nothing leaked`() throws {
        try ManualOrder.check(move(.done, .covered))
        try ManualOrder.check(move(.done, .unprotected))
        // An unproven move has not leaked; `evenkeel verify` decides that.
        try ManualOrder.check(move(.done, .unknown))
        #expect(throws: ManualOrderError.self) { try ManualOrder.check(move(.failed, .covered)) }
        let leak = #expect(throws: ManualOrderError.self) { try ManualOrder.check(move(.done, .leak)) }
        let text = try #require(leak).description
        for word in [
            "web1: moved h1 → h2 (evidence: leak)", "LEAK", "evenkeel verify o1", "tls between h1 and h2 is closed",
        ] {
            #expect(text.contains(word), "\(text)")
        }
        // The alert of a failure is kept next to the evidence.
        var failed = move(.failed, .leak)
        failed.failure = OrderFailure(.inDoubt, .other("web1 RUNS ON BOTH"), .unknown)
        let both = #expect(throws: ManualOrderError.self) { try ManualOrder.check(failed) }
        let words = try #require(both).description
        #expect(words.contains("web1 RUNS ON BOTH") && words.contains("LEAK"), "\(words)")
    }

    /// Returns the state of a fleet in which web1 runs on h1, whose last sample has this age.
    private func view(_ cannotMove: CannotMove?, secondsAgo: Int = 1) -> FleetView {
        let now = Instant.now
        var core = ControllerCore(policy: Policy())
        let vm = VMSample(id: VMID("u"), name: "web1", state: .running, cannotMove: cannotMove)
        for (host, vms, age) in [("h1", [vm], secondsAgo), ("h2", [], 1)] {
            let sample = LoadSample(host: HostName(host), at: now - .seconds(age), vms: vms)
            _ = core.handle(.sample(sample, at: now))
        }
        return FleetView(core, at: now)
    }

    private func order(_ view: FleetView) throws -> MigrationOrder {
        try ManualOrder.make(
            moving: "web1",
            to: HostName("h2"),
            channel: .ipsec,
            policy: Policy(),
            view: view,
            removed: [:]
        )
    }

    @Test func `a VM that cannot move is refused before anything is ordered, with the reason`() throws {
        #expect(try order(view(nil)).target == HostName("h2"))
        let reasons = CannotMove([.hypervisor(.snapshots(2))])
        let error = #expect(throws: ManualOrderError.self) { try order(view(reasons)) }
        let text = try #require(error).description
        #expect(text.contains("web1 cannot move away from h1: the VM has 2 snapshots"), "\(text)")
        // The last sample of a silent host may be outdated: its agent decides.
        #expect(try order(view(reasons, secondsAgo: 600)).source == HostName("h1"))
    }

    @Test func `a host that claims another host's VM does not keep an operator from moving it`() throws {
        let now = Instant.now
        let vm = VMSample(id: VMID("u"), name: "web1", state: .running)
        for claimsAtFirst in [false, true] {
            var core = ControllerCore(policy: Policy())
            for age in [100, 1] {
                for (host, vms) in [
                    ("h1", [vm]), ("h2", []), ("h3", age == 1 || claimsAtFirst ? [vm] : []),
                ] as [(String, [VMSample])] {
                    let sample = LoadSample(host: HostName(host), at: now - .seconds(age), vms: vms)
                    _ = core.handle(.sample(sample, at: now))
                }
            }
            let view = FleetView(core, at: now)
            if claimsAtFirst {
                #expect(throws: ManualOrderError.self) { try order(view) }
            } else {
                #expect(try order(view).source == HostName("h1"))
            }
            #expect(try !jsonText(view).contains("custody"))
        }
    }

    @Test func `an order that waits names the order whose move uses the path`() throws {
        let now = Instant.now
        var core = ControllerCore(policy: Policy())
        let first = MigrationOrder.sample(at: now - .seconds(9))
        let second = MigrationOrder.sample("o2", vm: VMID("uuid-2"), named: "vm2", at: now - .seconds(5))
        let elsewhere = MigrationOrder.sample("o3", vm: VMID("uuid-3"), named: "vm3", to: "h3", at: now - .seconds(5))
        for order in [first, second, elsewhere] { _ = core.handle(.order(.migrate(order: order))) }
        func described(_ order: MigrationOrder) throws -> String {
            let move = FleetView(core, at: now).moves.first { $0.order.id == order.id }
            return ManualOrder.describe(try #require(move))
        }
        #expect(try described(second) == "submitted", "no move has begun")
        let running = OrderReport(order: first.id, host: first.source, at: now, step: .running(progress: .begun))
        _ = core.handle(.report(running, at: now))
        #expect(try described(first) == "running")
        #expect(try described(second) == "submitted: waits for order o1, which uses the path to h2")
        #expect(try described(elsewhere) == "submitted")
        let view = FleetView(core, at: now)
        #expect(view.text().contains("waits for order o1"))
        #expect(try jsonText(view).contains("\"waitsFor\" : \"o1\""))
    }

    // MARK: VMs that are off

    /// Returns a fleet with these states of web1 on h1 and h2.
    private func view(_ first: VMState?, _ second: VMState? = nil, maintenance: Bool = false) -> FleetView {
        let now = Instant.now
        var core = ControllerCore(policy: Policy(maintenance: maintenance ? [HostName("h1")] : []))
        for (host, state) in [("h1", first), ("h2", second), ("h3", nil)] {
            let vms = state.map { [VMSample(id: VMID("u"), name: "web1", state: $0, definition: "digest")] } ?? []
            _ = core.handle(.sample(LoadSample(host: HostName(host), at: now, vms: vms), at: now))
        }
        return FleetView(core, at: now)
    }

    private func order(_ view: FleetView, offline: Bool, over channel: Channel = .ipsec) throws -> MigrationOrder {
        try ManualOrder.make(
            moving: "web1",
            to: HostName("h3"),
            channel: channel,
            isOffline: offline,
            policy: Policy(),
            view: view,
            removed: [:]
        )
    }

    @Test func `a VM that is off moves only on request, and one that runs never that way`() throws {
        let offline = try order(view(.shutOff), offline: true)
        #expect(offline.technique == .offline && offline.source == HostName("h1") && offline.definition == "digest")
        #expect(try order(view(.running), offline: false).technique == .preCopy)
        let cases: [(FleetView, Bool, Channel, String)] = [
            (view(.shutOff), false, .ipsec, "web1 is off on h1; to move its definition, add --offline"),
            (view(.running), true, .ipsec, "web1 is active on h1"),
            (view(.shutOff, .running), true, .ipsec, "web1 is active on h2"),
            (view(.shutOff, .shutOff), true, .ipsec, "web1 is off on h1 and h2"),
            (view(nil as VMState?), true, .ipsec, "no host reports"),
            (view(.shutOff), true, .sealed, "sealed carries no VM that is off"),
        ]
        for (view, offline, channel, text) in cases {
            let error = #expect(throws: ManualOrderError.self) { try order(view, offline: offline, over: channel) }
            #expect(try #require(error).description.contains(text), "\(text): \(error.map { "\($0)" } ?? "")")
        }
    }

    @Test func `only the VMs that are off on a host in maintenance are drained offline`() throws {
        let h1 = HostName("h1")
        #expect(try OfflineDrain.vms(of: h1, in: view(.shutOff, maintenance: true)).map(\.name) == ["web1"])
        #expect(try OfflineDrain.vms(of: h1, in: view(.running, maintenance: true)).isEmpty)
        #expect(
            try OfflineDrain.vms(of: h1, in: view(.shutOff, .running, maintenance: true)).isEmpty,
            "it is a leftover"
        )
        #expect(throws: OfflineDrain.Refusal.notInMaintenance(h1)) { try OfflineDrain.vms(of: h1, in: view(.shutOff)) }
        let h9 = HostName("h9")
        #expect(throws: OfflineDrain.Refusal.unknownHost(h9)) { try OfflineDrain.vms(of: h9, in: view(.shutOff)) }
    }

    @Test func `a drain continues after a VM that stays, and ends at a leak`() async throws {
        let vms = ["a", "b", "c"].map { InactiveVM(id: VMID($0), name: $0, state: .shutOff) }
        var said: [String] = []
        let stayed = try await OfflineDrain.move(vms) { vm, _ in
            if vm.name == "b" { throw ManualOrderError.notMoved("it has a TPM") }
            return "\(vm.name): moved"
        } say: {
            said.append($0)
        }
        #expect(stayed == 1 && said == ["a: moved", "b: it has a TPM", "c: moved"])
        let path = Path(source: HostName("h1"), target: HostName("h2"))
        let closure = ClosedChannels.Closure(order: OrderID("o1"), path: path, channel: .ipsec, at: .now)
        await #expect(throws: ManualOrderError.self) {
            _ = try await OfflineDrain.move(vms) { _, _ in
                throw ManualOrderError.leaked(closure, "moved")
            } say: { _ in
            }
        }
    }

    @Test func `an interrupted drain gives no further order and says which one continues`() async throws {
        let vms = ["a", "b", "c"].map { InactiveVM(id: VMID($0), name: $0, state: .shutOff) }
        for given in [OrderID("o2"), nil] {
            let drain = Task {
                try await OfflineDrain.move(vms) { vm, order in
                    if vm.name == "a" { return "a: moved" }
                    withUnsafeCurrentTask { $0?.cancel() }
                    order = given
                    try Task.checkCancellation()
                    return "\(vm.name): moved"
                } say: { _ in
                }
            }
            let expected = OfflineDrain.Refusal.interrupted(given, left: given == nil ? 2 : 1)
            await #expect(throws: expected) { _ = try await drain.value }
            #expect("\(expected)".contains("evenkeel cancel o2") == (given != nil))
        }
        // Ctrl-C between two moves.
        let drain = Task {
            try await OfflineDrain.move(vms) { vm, order in
                order = OrderID(vm.name)
                withUnsafeCurrentTask { $0?.cancel() }
                return "\(vm.name): moved"
            } say: { _ in
            }
        }
        await #expect(throws: OfflineDrain.Refusal.interrupted(nil, left: 2)) { _ = try await drain.value }
    }

    @Test func `status lists the VMs that cannot move, and JSON has the codes`() throws {
        let view = view(CannotMove([.hypervisor(.snapshots(2)), .host(.noBridge("br0"))]))
        let text = view.text()
        #expect(text.contains("CANNOT MOVE") && text.contains("the VM has 2 snapshots"), "\(text)")
        #expect(try jsonText(view).contains("\"code\" : \"snapshots\""))
        #expect(!self.view(nil).text().contains("CANNOT MOVE"))
    }
}
