// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import Testing

/// The closing of a channel after a leak, and its reopening.
struct ClosedChannelTests {
    private let path = Path(source: h1, target: h2)
    private let leak = OrderStep.done(
        outcome: completion.outcome,
        evidence: Evidence(channel: .ipsec, bytesOnPath: 1, bytesByHypervisor: 2, verdict: .leak)
    )

    private func clear(
        _ orders: [OrderID] = [order.id],
        _ channel: Channel = .ipsec,
        at second: Int = 20
    ) -> OrderRecord {
        // In the opposite direction: a clear applies to the pair.
        .clear(
            path: Path(source: h2, target: h1),
            channel: channel,
            orders: orders,
            at: .second(second),
            reason: "mended"
        )
    }

    private func later(
        _ id: String,
        from source: HostName,
        to target: HostName,
        _ channel: Channel = .ipsec
    )
        -> MigrationOrder
    {
        var later = order
        later.id = OrderID(id)
        later.vm = VMID("uuid-\(id)")
        (later.source, later.target, later.channel) = (source, target, channel)
        later.issuer = .operator
        later.expires = .second(100_000)
        return later
    }

    /// Returns an agent of `host` that has read of the leak, with report and order in either sequence.
    private func agent(_ host: HostName, reportFirst: Bool = false) -> AgentCore {
        var core = AgentCore(host: host)
        let report = AgentCore.Event(.report(report("h1", 9, leak)), at: .second(10))
        if reportFirst { _ = core.handle(report) }
        _ = core.handle(.order(.migrate(order: order)), at: .second(10))
        if !reportFirst { _ = core.handle(report) }
        _ = core.handle(.caughtUp, at: .second(10))
        return core
    }

    private func refusal(_ effects: [AgentCore.Effect]) -> String? {
        for case .append(let report) in effects {
            if case .failed(let failure) = report.step, failure.kind == .refused { return failure.text }
        }
        return nil
    }

    @Test(arguments: [false, true])
    func `after a leak both hosts refuse every order over that channel, including manual ones`(reportFirst: Bool) {
        for (host, other) in [(h1, h2), (h2, h1)] {
            var core = agent(host, reportFirst: reportFirst)
            let refused = refusal(
                core.handle(.order(.migrate(order: later("o2", from: host, to: other))), at: .second(11))
            )
            #expect(refused?.contains("ipsec between h1 and h2 is closed: order o1 leaked") == true)
        }
        for open in [later("o3", from: h1, to: h2, .tls), later("o4", from: h1, to: HostName("h3"))] {
            var core = agent(h1)
            #expect(core.handle(.order(.migrate(order: open)), at: .second(11)) == [.readRequirements(open)])
        }
    }

    @Test func `the target also refuses the order in case its source does not`() {
        var core = agent(h2)
        let next = later("o2", from: h1, to: h2)
        _ = core.handle(.order(.migrate(order: next)), at: .second(11))
        var accepted = report("h1", 11, .accepted(requirements: requirements))
        accepted.order = next.id
        let effects = core.handle(.report(accepted), at: .second(12))
        #expect(refusal(effects)?.contains("leaked") == true)
        #expect(!effects.contains { if case .checkTarget = $0 { true } else { false } })
    }

    @Test func `a closed channel stays closed after the order is forgotten`() {
        // The source remembers the order for as long as its VM may return.
        var core = agent(h2)
        _ = core.handle(.tick, at: .second(700_000))
        #expect(core.orders.isEmpty)
        var next = later("o2", from: h2, to: h1)
        (next.issuedAt, next.expires) = (.second(700_000), .second(700_100))
        let effects = core.handle(.order(.migrate(order: next)), at: .second(700_001))
        #expect(refusal(effects)?.contains("leaked") == true)
    }

    @Test func `a leak of the previous move stops an order that was already accepted`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        let back = later("o0", from: h2, to: h1)
        _ = core.handle(.order(.migrate(order: back)), at: .second(1))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        var leaked = report("h2", 3, leak)
        leaked.order = back.id
        _ = core.handle(.report(leaked), at: .second(3))
        #expect(
            refusal(core.handle(.report(report("h2", 4, .prepared())), at: .second(4)))?.contains("o0 leaked") == true
        )
    }

    @Test(arguments: [false, true])
    func `only a clear that names the leak opens the channel, in either reading order`(clearFirst: Bool) {
        for (record, opens) in [
            (clear(), true), (clear([OrderID("another")]), false), (clear([order.id], .tls), false),
        ] {
            var core = AgentCore(host: h1)
            if clearFirst { _ = core.handle(.order(record), at: .second(20)) }
            _ = core.handle(.order(.migrate(order: order)), at: .second(20))
            _ = core.handle(.report(report("h1", 9, leak)), at: .second(20))
            if !clearFirst { _ = core.handle(.order(record), at: .second(20)) }
            _ = core.handle(.caughtUp, at: .second(20))
            #expect(core.closed.closures.isEmpty == opens)
            let next = later("o2", from: h1, to: h2)
            #expect((refusal(core.handle(.order(.migrate(order: next)), at: .second(21))) == nil) == opens)
        }
    }

    @Test(arguments: [false, true])
    func `a stored closure lasts until it is cleared, even if the ledger lost the leak`(
        isCleared: Bool
    ) {
        let known = agent(h1).closed.closures
        #expect(known.map(\.order) == [order.id])
        var core = AgentCore(host: h1)
        var controller = ControllerCore(policy: Policy())
        _ = core.handle(.closures(known), at: .second(50))
        _ = controller.handle(.closures(known))
        if isCleared {
            _ = core.handle(.order(clear()), at: .second(50))
            _ = controller.handle(.order(clear()))
        }
        _ = core.handle(.caughtUp, at: .second(50))
        _ = controller.handle(.caughtUp(at: .second(50)))
        let next = core.handle(.order(.migrate(order: later("o2", from: h1, to: h2))), at: .second(51))
        #expect((refusal(next) == nil) == isCleared)
        let closed: Set = isCleared ? [] : [ClosedChannel(HostPair(path), .ipsec)]
        #expect(controller.snapshot(at: .second(51)).closedChannels == closed)
    }

    @Test func `a leak after the clear closes the channel again`() {
        var core = agent(h1)
        _ = core.handle(.order(clear()), at: .second(20))
        let next = later("o2", from: h1, to: h2)
        _ = core.handle(.order(.migrate(order: next)), at: .second(21))
        // The clock is behind; times do not matter here.
        var leaked = report("h1", 5, leak)
        leaked.order = next.id
        _ = core.handle(.report(leaked), at: .second(22))
        #expect(core.closed.closures.map(\.order) == [next.id])
    }

    @Test func `a host cannot close another channel through its evidence`() {
        var core = AgentCore(host: h1)
        var plain = order
        plain.channel = .tls
        _ = core.handle(.order(.migrate(order: plain)), at: .second(1))
        _ = core.handle(.report(report("h1", 9, leak)), at: .second(10))
        #expect(core.closed.channels == [ClosedChannel(HostPair(path), .tls)])
    }

    // MARK: the controller

    @Test func `the controller announces a leak and plans nothing on the channel until it is cleared`() {
        var core = inControl(Policy())
        _ = core.handle(.order(.migrate(order: order)))
        let effects = core.handle(.report(report("h1", 9, leak), at: .second(10)))
        let leaks = effects.compactMap { effect -> ControllerNews? in
            if case .announce(let news) = effect, news.kind == .leak { news } else { nil }
        }
        let closure = core.closed.closures.first
        #expect(closure?.order == order.id && leaks == [.leaked(vmName: order.vmName, path, closing: closure)])
        _ = core.handle(.tick(at: .second(400_000), identifier: "d"))
        #expect(core.orders.isEmpty, "the order is forgotten, the leak is not")
        #expect(core.snapshot(at: .second(400_000)).closedChannels == [ClosedChannel(HostPair(path), .ipsec)])
        _ = core.handle(.order(clear()))
        #expect(core.snapshot(at: .second(400_000)).closedChannels.isEmpty)
    }
}
