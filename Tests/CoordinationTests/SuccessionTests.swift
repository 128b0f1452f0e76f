// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

@testable import Coordination

/// Two controllers on one ledger: the later one wins, and agents refuse the orders of the earlier one.
struct SuccessionTests {
    @Test func `a controller orders only when it has read its own claim, and its orders state the epoch`() throws {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.lockTaken(controller: "b"))
        _ = core.handle(.order(.takeOver(epoch: 900, controller: "a", at: .second(1))))
        let claim = OrderRecord.takeOver(epoch: 901, controller: "b", at: .second(2))
        #expect(core.handle(.caughtUp(at: .second(2))).contains(.takeOver(claim)))
        for second in [5, 10, 15] { overload(&core, at: second) }
        #expect(orders(core.handle(.tick(at: .second(11), identifier: "d"))).isEmpty)
        _ = core.handle(.order(claim))
        let order = try #require(orders(core.handle(.tick(at: .second(15), identifier: "e"))).first)
        #expect(order.epoch == 901 && core.lossOfControl == nil)
    }

    @Test func `an epoch is at least the time in seconds, for agents may remember what retention has removed`() {
        #expect(claim(by: "a", at: 5000) == .takeOver(epoch: 5000, controller: "a", at: .second(5000)))
    }

    @Test func `a claim that the ledger does not show is repeated unchanged after 10 s`() {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.lockTaken(controller: "a"))
        let first = core.handle(.caughtUp(at: .second(100)))
        #expect(first.contains(.takeOver(.takeOver(epoch: 100, controller: "a", at: .second(100)))))
        #expect(core.handle(.tick(at: .second(105), identifier: "d")).isEmpty)
        let second = core.handle(.tick(at: .second(110), identifier: "e"))
        #expect(second == [.takeOver(.takeOver(epoch: 100, controller: "a", at: .second(100)))])
    }

    @Test(arguments: [2001, 2000] as [UInt64]) func `a controller that another one follows orders nothing more`(
        _ other: UInt64
    ) {
        var core = inControl("a", at: 2000)
        for second in [2005, 2010, 2015] { overload(&core, at: second) }
        let lost = core.handle(.order(.takeOver(epoch: other, controller: "b", at: .second(2014))))
        #expect(lost == [.announce(.lostControl(reason: "another controller has taken over (epoch \(other))"))])
        #expect(core.handle(.tick(at: .second(2015), identifier: "d")).isEmpty, "it is told once")
        #expect(core.lossOfControl != nil)
    }

    @Test func `an order with a higher epoch is a sign of another controller, too`() {
        var core = inControl("a", at: 2000)
        var theirs = order
        theirs.epoch = 2001
        _ = core.handle(.order(.migrate(order: theirs)))
        #expect(core.lossOfControl != nil)
    }

    @Test func `of two equal claims the later one counts, and the one that reads another before its own claims again`()
    {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.lockTaken(controller: "b"))
        _ = core.handle(.caughtUp(at: .second(100)))
        _ = core.handle(.order(.takeOver(epoch: 100, controller: "a", at: .second(100))))
        #expect(core.lossOfControl == nil)
        let again = core.handle(.tick(at: .second(101), identifier: "d"))
        #expect(again == [.takeOver(.takeOver(epoch: 101, controller: "b", at: .second(101)))])
    }

    @Test func `old claims and its own orders do not depose a controller`() {
        var core = inControl("a", at: 2000)
        var own = order
        own.epoch = 2000
        for record in [.takeOver(epoch: 1999, controller: "z", at: .second(1)), .migrate(order: own)] as [OrderRecord] {
            _ = core.handle(.order(record))
        }
        #expect(core.lossOfControl == nil)
    }

    @Test func `a controller that has lost its lock orders nothing more`() {
        var core = inControl("a", at: 2000)
        for second in [2005, 2010, 2015] { overload(&core, at: second) }
        #expect(core.handle(.lockLost(reason: "its file was removed")).count == 1)
        #expect(orders(core.handle(.tick(at: .second(2015), identifier: "d"))).isEmpty)
        #expect(core.lossOfControl == "its lock on the ledger was lost: its file was removed")
    }

    @Test(arguments: [false, true]) func `only a controller in its role ends orders of removed hosts`(isLost: Bool) {
        var core = inControl("a", at: 2000)
        _ = core.handle(.order(.migrate(order: order)))
        _ = core.handle(.report(report("h1", 2001, .running(progress: progress)), at: .second(2001)))
        let vm = VMSample(id: order.vm, name: "vm1", state: .running)
        _ = core.handle(.sample(LoadSample(host: h2, at: .second(2002), vms: [vm]), at: .second(2002)))
        _ = core.handle(.removed([h1]))
        if isLost { _ = core.handle(.lockLost(reason: "its file was removed")) }
        let effects = core.handle(.tick(at: .second(2003), identifier: "d"))
        let isEnded = effects.contains { if case .end = $0 { true } else { false } }
        #expect(isEnded == !isLost)
    }

    @Test func `the highest possible epoch does not stop a program`() {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.lockTaken(controller: "b"))
        _ = core.handle(.order(.takeOver(epoch: .max, controller: "a", at: .second(1))))
        let claim = OrderRecord.takeOver(epoch: .max, controller: "b", at: .second(2))
        #expect(core.handle(.caughtUp(at: .second(2))).contains(.takeOver(claim)))
    }

    // MARK: agents

    @Test(arguments: ["h1", "h2"]) func `a host refuses an order that follows a higher epoch`(host: String) throws {
        var core = agent(host)
        _ = core.handle(.order(.takeOver(epoch: 8, controller: "b", at: .second(1))), at: .second(1))
        let effects = begin(&core, epoch: 7, at: host)
        guard case .append(let report)? = effects.first, case .failed(let failure) = report.step else {
            Issue.record("not refused: \(effects)")
            return
        }
        #expect(failure.kind == .refused && failure.reason == .order(.controllerSuperseded(epoch: 7, by: 8)))
    }

    @Test func `an order of a higher epoch supersedes earlier ones, too`() {
        var core = agent("h1")
        var newer = order
        (newer.id, newer.source, newer.target, newer.epoch) = (OrderID("o2"), HostName("h8"), HostName("h9"), 8)
        _ = core.handle(.order(.migrate(order: newer)), at: .second(1))
        #expect(!begin(&core, epoch: 7, at: "h1").contains { if case .readRequirements = $0 { true } else { false } })
    }

    @Test func `what was ordered before another controller took over is carried out`() {
        var core = AgentCore(host: h1)
        var earlier = order
        earlier.epoch = 7
        _ = core.handle(.order(.migrate(order: earlier)), at: .second(1))
        _ = core.handle(.order(.takeOver(epoch: 8, controller: "b", at: .second(1))), at: .second(1))
        #expect(core.handle(.caughtUp, at: .second(1)) == [.readRequirements(earlier)])
    }

    @Test(
        arguments: [(.controller, nil), (.controller, 8), (.operator, nil), (.operator, 7)]
            as [(
                MigrationOrder.Issuer, UInt64?
            )]
    )
    func `orders of operators and of the present controller, and those without an epoch, are valid`(
        issuer: MigrationOrder.Issuer,
        epoch: UInt64?
    ) {
        var core = agent("h1")
        _ = core.handle(.order(.takeOver(epoch: 8, controller: "b", at: .second(1))), at: .second(1))
        var valid = order
        (valid.issuer, valid.epoch) = (issuer, epoch)
        #expect(core.handle(.order(.migrate(order: valid)), at: .second(1)) == [.readRequirements(valid)])
    }

    // MARK: helpers

    private func claim(by name: String, at second: Int) -> OrderRecord? {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.lockTaken(controller: name))
        for case .takeOver(let record) in core.handle(.caughtUp(at: .second(second))) { return record }
        return nil
    }

    private func inControl(_ name: String, at second: Int) -> ControllerCore {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.lockTaken(controller: name))
        for case .takeOver(let record) in core.handle(.caughtUp(at: .second(second))) {
            _ = core.handle(.order(record))
        }
        return core
    }

    private func agent(_ host: String) -> AgentCore {
        var core = AgentCore(host: HostName(host))
        _ = core.handle(.caughtUp, at: .second(0))
        return core
    }

    /// Passes the order with this epoch, and for its target also the source's acceptance.
    private func begin(_ core: inout AgentCore, epoch: UInt64, at host: String) -> [AgentCore.Effect] {
        var late = order
        late.epoch = epoch
        let effects = core.handle(.order(.migrate(order: late)), at: .second(1))
        guard host == "h2" else { return effects }
        return core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
    }

    private func orders(_ effects: [ControllerCore.Effect]) -> [MigrationOrder] { effects.compactMap(\.order) }
}
