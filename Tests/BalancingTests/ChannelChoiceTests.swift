// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

struct ChannelChoiceTests {
    private let h1 = HostName("h1")
    private let h2 = HostName("h2")
    private var path: Path { Path(source: h1, target: h2) }

    private func fleet(_ one: [Channel]?, _ other: [Channel]?, past: [PastMove] = []) -> FleetSnapshot {
        let busy = [vm("big", cores: 1.8), vm("lean", cores: 0.7), vm("tiny", cores: 0.4)]
        var hosts = [steady("h1", cpu: 3.8, vms: busy), steady("h2", cpu: 0.5)]
        for (number, channels) in [one, other].enumerated() {
            for index in hosts[number].samples.indices { hosts[number].samples[index].channels = channels }
        }
        return snapshot(hosts, past: past)
    }

    private func chosen(_ fleet: FleetSnapshot, _ allowed: [Channel]) -> Channel? {
        ChannelChoice(fleet, policy: Policy(channels: allowed)).channel(on: path)
    }

    @Test func `the first allowed channel that both hosts have is chosen`() {
        let both = fleet([.ssh, .tls, .ipsec], [.tls, .ipsec])
        #expect(chosen(both, [.ipsec, .tls]) == .ipsec)
        #expect(chosen(both, [.tls, .ipsec]) == .tls)
        #expect(chosen(both, [.ssh, .ipsec]) == .ipsec, "h2 has no ssh")
        #expect(chosen(both, [.ssh]) == nil)
        #expect(chosen(fleet([.tls], [.ipsec]), [.ipsec, .tls]) == nil)
        #expect(chosen(both, []) == nil)
    }

    @Test func `a host that reports no channels has only IPsec`() {
        #expect(chosen(fleet(nil, nil), [.tls, .ipsec]) == .ipsec)
        #expect(chosen(fleet(nil, [.tls]), [.tls, .ipsec]) == nil)
        #expect(chosen(fleet([], []), [.ipsec]) == nil, "an empty list is a report")
    }

    @Test func `no policy chooses plain`() {
        #expect(chosen(fleet([.plain], [.plain]), [.plain]) == nil)
    }

    @Test func `a channel at least 50 % faster on the path replaces the preferred one`() {
        func past(_ channel: Channel, _ speed: Double, to target: HostName? = nil) -> PastMove {
            var move = move("a", "h1", "h2")
            move.target = target ?? h2
            return PastMove(
                move: move,
                channel: channel,
                endedAt: .second(10),
                succeeded: true,
                bytesPerSecond: speed
            )
        }
        func chosen(_ past: [PastMove]) -> Channel? {
            self.chosen(fleet([.ipsec, .tls, .ssh], [.ipsec, .tls, .ssh], past: past), [.ipsec, .tls, .ssh])
        }
        #expect(chosen([past(.ipsec, 100e6), past(.tls, 149e6)]) == .ipsec)
        #expect(chosen([past(.ipsec, 100e6), past(.tls, 150e6)]) == .tls)
        #expect(chosen([past(.ipsec, 100e6), past(.tls, 160e6), past(.ssh, 170e6)]) == .ssh)
        #expect(chosen([past(.tls, 900e6)]) == .ipsec, "the speed of ipsec is unknown")
        #expect(chosen([past(.ipsec, 100e6), past(.tls, 900e6, to: h1)]) == .ipsec, "that was another path")
        #expect(chosen([past(.ipsec, 50e6), past(.ipsec, 150e6), past(.tls, 149e6)]) == .ipsec, "means are compared")
    }

    @Test func `a VM is not stopped for the sake of speed`() {
        let past = [(Channel.ipsec, 100e6), (.sealed, 900e6)].map { channel, speed in
            PastMove(
                move: move("a", "h1", "h2"),
                channel: channel,
                endedAt: .second(10),
                succeeded: true,
                bytesPerSecond: speed
            )
        }
        let both = fleet([.ipsec, .sealed], [.ipsec, .sealed], past: past)
        #expect(chosen(both, [.ipsec, .sealed]) == .ipsec)
        #expect(chosen(both, [.sealed, .ipsec]) == .sealed)
        #expect(chosen(fleet([.sealed], [.ipsec, .sealed], past: past), [.ipsec, .sealed]) == .sealed)
    }

    @Test func `a closed channel is not used in either direction, and without another nothing moves`() {
        var fleet = fleet([.ipsec, .tls], [.ipsec, .tls])
        let policy = Policy(channels: [.ipsec, .tls])
        #expect(!SteadyPlanner(policy: policy).plan(for: fleet).moves.isEmpty)
        fleet.closedChannels = [ClosedChannel(HostPair(h2, h1), .ipsec)]
        #expect(chosen(fleet, [.ipsec, .tls]) == .tls)
        #expect(!SteadyPlanner(policy: policy).plan(for: fleet).moves.isEmpty)
        fleet.closedChannels.insert(ClosedChannel(HostPair(h1, h2), .tls))
        let choice = ChannelChoice(fleet, policy: policy)
        #expect(choice.channel(on: path) == nil && choice.channel(on: Path(source: h2, target: h1)) == nil)
        #expect(choice.noChannelReason(on: path).closed == [.ipsec, .tls])
        let plan = SteadyPlanner(policy: policy).plan(for: fleet)
        #expect(plan.moves.isEmpty && plan.refusals.contains { $0.has(.pathClosed, on: ["h2"]) })
    }

    @Test func `hosts without a common channel get no move, and the refusal gives the reason`() {
        let policy = Policy(channels: [.ipsec, .tls])
        let apart = SteadyPlanner(policy: policy).plan(for: fleet([.tls], [.ipsec]))
        #expect(apart.moves.isEmpty && apart.refusals.contains { $0.has(.pathClosed, on: ["h2"]) })
        let none = SteadyPlanner(policy: policy).plan(for: fleet([.tls], []))
        #expect(none.moves.isEmpty)
        #expect(none.refusals.contains { $0.has(.noAllowedChannel, on: ["h2"]) })
    }

    @Test func `the plan uses the speed of the channel that the move will take`() {
        let past = [(Channel.ipsec, 1e8), (.tls, 4e8)].map { channel, speed in
            PastMove(
                move: move("a", "h1", "h2"),
                channel: channel,
                endedAt: .second(10),
                succeeded: true,
                bytesPerSecond: speed
            )
        }
        let fleet = fleet([.ipsec, .tls], [.ipsec, .tls], past: past)
        #expect(FleetModel(fleet, policy: Policy(channels: [.ipsec, .tls])).bandwidths == [path: 4e8])
        #expect(FleetModel(fleet, policy: Policy(channels: [.ipsec])).bandwidths == [path: 1e8])
    }
}
