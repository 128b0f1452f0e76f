// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

/// The rules that are checked after a fault.
struct FaultRulesTests {
    private static let (h1, h2) = (HostName("h1"), HostName("h2"))
    private static let killedAgent = FaultCell(.sourceAgent, .kill, .copying, .ipsec)
    private static let stoppedLink = FaultCell(.link, .stop, .switchOver, .ipsec)
    private static let killedQEMU = FaultCell(.sourceQEMU, .kill, .copying, .tls)
    private static let sourceWithoutPower = FaultCell(.sourceHost, .kill, .saving, .sealed)
    private static let doubt = FaultObservation.End.failed(kind: .inDoubt, code: "duplicate-paused", at: nil)

    /// An observation of h1 and h2; each string lists the properties of vm1 there: a(ctive), r(unning), d(efined),
    /// autostart (s).
    private static func observed(
        _ first: String,
        _ second: String,
        end: FaultObservation.End? = .failed(kind: .interrupted, code: "stayed", at: h1),
        guest: FaultObservation.Guest = .init(),
        beginnings: Int = 1
    ) -> FaultObservation {
        let hosts = [(h1, first), (h2, second)].map { name, properties in
            func vms(_ letter: Character) -> Set<String> { properties.contains(letter) ? ["vm1"] : [] }
            return FaultObservation.Host(
                name: name,
                active: vms("a"),
                running: vms("r"),
                defined: vms("d"),
                autostart: vms("s")
            )
        }
        return FaultObservation(hosts: hosts, guests: ["vm1": guest], end: end, beginnings: beginnings)
    }

    private static func broken(_ observation: FaultObservation, _ cell: FaultCell = killedAgent) -> [String] {
        observation.violations(of: cell, guest: "vm1", from: h1, to: h2)
    }

    @Test func `a VM that stayed or moved with all that belongs to it breaks nothing`() {
        #expect(Self.broken(Self.observed("ards", "")).isEmpty)
        #expect(Self.broken(Self.observed("", "ards", end: .done(.covered))).isEmpty)
    }

    @Test func `a VM on two hosts, or on none, breaks a rule`() {
        #expect(!Self.broken(Self.observed("ards", "ar")).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "a")).isEmpty)
        #expect(!Self.broken(Self.observed("ds", "")).isEmpty)
        #expect(!Self.broken(Self.observed("ads", "")).isEmpty, "it is paused")
        #expect(!Self.broken(Self.observed("", "")).isEmpty)
    }

    @Test func `a definition or autostart elsewhere breaks a rule`() {
        #expect(!Self.broken(Self.observed("ards", "d")).isEmpty)
        #expect(!Self.broken(Self.observed("ar", "ds")).isEmpty)
        #expect(!Self.broken(Self.observed("ard", "")).isEmpty, "autostart is lost")
        #expect(!Self.broken(Self.observed("ar", "")).isEmpty, "it is transient")
    }

    @Test func `an order that is open, in doubt, begun twice or wrong breaks a rule`() {
        #expect(!Self.broken(Self.observed("ards", "", end: nil)).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "", end: Self.doubt)).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "", beginnings: 2)).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "", end: .done(.covered))).isEmpty)
        let there = FaultObservation.End.failed(kind: .migration, code: "hypervisor", at: Self.h2)
        #expect(!Self.broken(Self.observed("ards", "", end: there)).isEmpty)
    }

    @Test func `damage, a boot and a time that goes back break rules`() {
        #expect(!Self.broken(Self.observed("ards", "", guest: .init(problems: ["mem=BAD"]))).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "", guest: .init(boots: 1))).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "", guest: .init(setbacks: 1))).isEmpty)
    }

    @Test func `a paused duplicate is allowed where an answer can be lost, and nowhere else`() {
        let observed = Self.observed("ad", "ards", end: Self.doubt, guest: .init(setbacks: 2))
        #expect(observed.outcome(of: "vm1") == .duplicatePaused)
        #expect(Self.broken(observed, Self.stoppedLink).isEmpty)
        #expect(!Self.broken(observed, Self.killedAgent).isEmpty)
        let twice = Self.observed("ard", "ards", end: Self.doubt)
        #expect(!Self.broken(twice, Self.stoppedLink).isEmpty)
    }

    @Test func `two copies may run at once for a minute only`() {
        func broken(_ setbacks: Int) -> [String] {
            Self.broken(
                Self.observed("ad", "ards", end: Self.doubt, guest: .init(setbacks: setbacks)),
                Self.stoppedLink
            )
        }
        #expect(broken(FaultObservation.longestOverlap).isEmpty)
        #expect(!broken(FaultObservation.longestOverlap + 1).isEmpty)
    }

    @Test func `autostart is never on two hosts, nor with a leftover definition or a paused copy`() {
        #expect(!Self.broken(Self.observed("ads", "ards", end: Self.doubt), Self.stoppedLink).isEmpty)
        #expect(!Self.broken(Self.observed("ads", "ard", end: Self.doubt), Self.stoppedLink).isEmpty)
        #expect(Self.broken(Self.observed("ad", "ard", end: Self.doubt), Self.stoppedLink).isEmpty)
        let killed = FaultCell(.targetQEMU, .kill, .switchOver, .tls)
        #expect(!Self.broken(Self.observed("ards", "ds"), killed).isEmpty)
        #expect(!Self.broken(Self.observed("ard", "ds"), killed).isEmpty)
        let lost = FaultObservation.End.failed(kind: .inDoubt, code: "runs-nowhere", at: nil)
        #expect(Self.broken(Self.observed("d", "ds", end: lost), killed).isEmpty)
        #expect(!Self.broken(Self.observed("ds", "ds", end: lost), killed).isEmpty)
        #expect(!Self.broken(Self.observed("ads", "d", end: lost), killed).isEmpty)
    }

    @Test func `a leak breaks a rule, whatever the order's end`() {
        #expect(Self.broken(Self.observed("", "ards", end: .done(.unknown))).isEmpty)
        #expect(!Self.broken(Self.observed("", "ards", end: .done(.leak))).isEmpty)
        let failed = FaultObservation.End.failed(kind: .migration, code: "x", at: Self.h1, evidence: .leak)
        #expect(!Self.broken(Self.observed("ards", "", end: failed)).isEmpty)
        #expect(FaultObservation.End.done(.unknown).text == "done, unknown")
        #expect(!FaultBench.violations(ofUndisturbed: .done(.leak)).isEmpty)
    }

    @Test func `an order that had begun states where its VM is`() {
        let nowhere = FaultObservation.End.failed(kind: .interrupted, code: "x", at: nil)
        #expect(!Self.broken(Self.observed("ards", "", end: nowhere)).isEmpty)
        #expect(Self.broken(Self.observed("ards", "", end: nowhere, beginnings: 0)).isEmpty)
    }

    @Test func `a move that nothing disturbs must succeed`() {
        #expect(FaultBench.violations(ofUndisturbed: .done(.covered)).isEmpty)
        #expect(!FaultBench.violations(ofUndisturbed: nil).isEmpty)
        let failed = FaultObservation.End.failed(kind: .migration, code: "x", at: Self.h1)
        #expect(!FaultBench.violations(ofUndisturbed: failed).isEmpty)
    }

    @Test func `a VM that was released to no target cannot have run there`() {
        let handedOver = FaultCell(.targetHost, .kill, .handedOver, .sealed)
        #expect(handedOver.allowedOutcomes == [.runs])
        #expect(FaultCell(.targetHost, .kill, .restoring, .sealed).allowedOutcomes.contains(.leftover))
    }

    @Test func `a VM that boots after the rules held breaks a rule`() {
        let before = Self.observed("ards", "")
        func later(_ first: String, _ guest: FaultObservation.Guest, boots: Int = 0) -> [String] {
            Self.observed(first, "", guest: guest).violations(of: "vm1", since: before, boots: boots)
        }
        #expect(later("ards", .init()).isEmpty)
        #expect(!later("ards", .init(boots: 1)).isEmpty)
        #expect(later("ards", .init(boots: 1), boots: 1).isEmpty, "an operator started it")
        #expect(!later("ards", .init(), boots: 1).isEmpty)
        #expect(!later("ards", .init(setbacks: 1)).isEmpty)
        #expect(!later("ards", .init(problems: ["mem=BAD"])).isEmpty)
        #expect(!later("ard", .init()).isEmpty && !later("ds", .init()).isEmpty)
        #expect(!Self.observed("ards", "d").violations(of: "vm1", since: before).isEmpty)
        // What had happened before was judged before.
        let booted = Self.observed("ards", "", guest: .init(boots: 1, setbacks: 3))
        #expect(booted.violations(of: "vm1", since: booted).isEmpty)
    }

    @Test func `a VM whose QEMU was killed is off and defined once`() {
        let end = FaultObservation.End.failed(kind: .migration, code: "stayed-off", at: nil)
        #expect(Self.broken(Self.observed("ds", "", end: end), Self.killedQEMU).isEmpty)
        #expect(!Self.broken(Self.observed("ds", "d", end: end), Self.killedQEMU).isEmpty)
        #expect(
            !Self.broken(Self.observed("ards", "", end: end), Self.killedQEMU).isEmpty,
            "only its owner may start it"
        )
        #expect(!Self.broken(Self.observed("d", "", end: end), Self.killedQEMU).isEmpty, "autostart is lost")
    }

    @Test func `a definition may be left only where the VM may have run and ended`() {
        let observed = Self.observed("ards", "d")
        #expect(observed.outcome(of: "vm1") == .leftover)
        #expect(Self.broken(observed, FaultCell(.targetQEMU, .kill, .switchOver, .tls)).isEmpty)
        #expect(!Self.broken(observed, FaultCell(.targetQEMU, .kill, .copying, .tls)).isEmpty)
        #expect(!Self.broken(observed, Self.stoppedLink).isEmpty)
    }

    @Test func `a VM whose host lost power boots once`() {
        #expect(Self.broken(Self.observed("ards", "", guest: .init(boots: 1)), Self.sourceWithoutPower).isEmpty)
        #expect(!Self.broken(Self.observed("ards", "", guest: .init(boots: 2)), Self.sourceWithoutPower).isEmpty)
        #expect(!Self.broken(Self.observed("ds", ""), Self.sourceWithoutPower).isEmpty, "it is left off")
    }

    @Test func `a fault that came too late may leave the VM running`() {
        let observed = Self.observed("", "ards", end: .done(.covered))
        #expect(!Self.broken(observed, Self.killedQEMU).isEmpty)
        func broken(_ observed: FaultObservation, _ hit: FaultHit) -> [String] {
            observed.violations(of: Self.killedQEMU, guest: "vm1", from: Self.h1, to: Self.h2, hit: hit)
        }
        #expect(broken(observed, .afterEnd).isEmpty)
        #expect(broken(observed, .otherPhase(.switchOver)).isEmpty)
        #expect(broken(observed, .nothing).isEmpty)
    }

    @Test func `a fault that struck nothing leaves the VM running`() {
        let end = FaultObservation.End.failed(kind: .migration, code: "stayed-off", at: nil)
        let observed = Self.observed("ds", "", end: end)
        let broken = observed.violations(of: Self.killedQEMU, guest: "vm1", from: Self.h1, to: Self.h2, hit: .nothing)
        #expect(!broken.isEmpty)
    }

    @Test func `a bystander stays where it was, and boots only with its host`() {
        func broken(_ observed: FaultObservation, mayBoot: Bool = false) -> [String] {
            observed.violations(ofBystander: "vm1", on: Self.h1, mayBoot: mayBoot)
        }
        #expect(broken(Self.observed("ards", "")).isEmpty)
        #expect(!broken(Self.observed("", "ards")).isEmpty)
        #expect(!broken(Self.observed("ds", ""), mayBoot: true).isEmpty)
        let booted = Self.observed("ards", "", guest: .init(boots: 1))
        #expect(!broken(booted).isEmpty)
        #expect(broken(booted, mayBoot: true).isEmpty)
    }

    @Test func `the lists of virsh are read`() throws {
        let text = "vm1\nvm2\n==vm2\n\n==\nvm1\nvm2\nvm3\n==vm3\n"
        let host = try #require(FaultObservation.Host(name: Self.h1, lists: text))
        #expect(host.active == ["vm1", "vm2"] && host.running == ["vm2"])
        #expect(host.defined == ["vm1", "vm2", "vm3"] && host.autostart == ["vm3"])
        #expect(FaultObservation.Host(name: Self.h1, lists: "======")?.active.isEmpty == true)
        #expect(FaultObservation.Host(name: Self.h1, lists: "vm1\n") == nil)
    }

    @Test func `a guest has worked if its units and its disk show it`() {
        func console(_ lines: String...) -> ConsoleLog { ConsoleLog(parsing: lines.joined(separator: "\n") + "\n") }
        let first = "EK t=1000 at=1 units=1 rate=10 mem=ok disk=1"
        func missing(_ last: String) -> String? { FaultBench.missingWork(console(first, last), units: 130) }
        #expect(missing("EK t=14000 at=1 units=131 rate=10 mem=ok disk=2") == nil)
        // It has run long enough, but has not checked all its memory.
        #expect(missing("EK t=94000 at=1 units=130 rate=1 mem=ok disk=2") != nil)
        #expect(missing("EK t=14000 at=1 units=131 rate=10 mem=ok disk=1") != nil)
        #expect(missing("EK t=14000 at=1 units=131 rate=10 mem=BAD:fixed disk=2") == "BAD:fixed")
        #expect(missing("EK t=14000 at=1 units=0 rate=10 mem=ok disk=2") != nil)
        #expect(FaultBench.missingWork(console(), units: 0) != nil)
    }
}
