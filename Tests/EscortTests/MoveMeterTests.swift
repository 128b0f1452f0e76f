// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Escort

@Suite struct MoveMeterTests {
    /// Plays readings one after the other; the last one stays.
    actor Script {
        private var readings: [TunnelReading]
        init(_ readings: [TunnelReading]) { self.readings = readings }
        func next() throws -> TunnelReading {
            guard let first = readings.first else { throw EscortError.notApplied }
            if readings.count > 1 { readings.removeFirst() }
            return first
        }
    }

    /// A reading with one or more children: SPI, state, bytes out, packets in.
    func reading(
        _ children: (String, String, UInt64, UInt64)...,
        gate: UInt64?,
        silence: Int = 0
    ) throws -> TunnelReading {
        var association = try #require(IKEAssociation.all(in: Recordings.listSAs).first)
        let template = try #require(association.liveChild)
        association.children = children.map { spi, state, out, arrived in
            var child = template
            (child.outboundSPI, child.inboundSPI, child.state) = (spi, "in-" + spi, state)
            child.outbound = TrafficCounters(bytes: out, packets: out / 1000)
            child.inbound = TrafficCounters(bytes: arrived * 52, packets: arrived)
            child.secondsSinceInbound = silence
            return child
        }
        return TunnelReading(
            associations: [association],
            gate: gate.map { TrafficCounters(bytes: $0, packets: $0 / 1000) }
        )
    }

    func meter(_ readings: TunnelReading...) async throws -> MoveMeter {
        let script = Script(readings)
        return try await MoveMeter(peer: "h2", implementation: .userSpace) { try await script.next() }
    }

    @Test func `bytes of one SA are counted from the beginning of the move`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 5000, 1), gate: nil),
            reading(("a", "INSTALLED", 9000, 2), gate: nil)
        )
        let evidence = await meter.end(hypervisorBytes: 4000)
        #expect(evidence.bytesThroughTunnel == 4000 && evidence.verdict == .covered)
        #expect(evidence.before?.bytes == 5000 && evidence.after?.bytes == 9000)
        #expect(evidence.association?.outboundSPI == "a")
    }

    @Test func `rekeying loses nothing: the gate's counter fills what charon forgot`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            reading(("a", "INSTALLED", 10000, 2), gate: 10000),
            // 7000 more went through a and 3000 through b, but charon never read a again.
            reading(("a", "DELETED", 10000, 2), ("b", "INSTALLED", 3000, 3), gate: 20000),
            reading(("b", "INSTALLED", 5000, 4), gate: 22000)
        )
        #expect(await meter.observe() == .init(bytes: 10000, loss: nil))
        #expect(await meter.observe() == .init(bytes: 20000, loss: nil))
        let evidence = await meter.end(hypervisorBytes: 22000)
        #expect(evidence.bytesThroughTunnel == 22000 && evidence.verdict == .covered)
        #expect(evidence.association?.outboundSPI == "b")
    }

    @Test func `the gate's counter does not count while the SA stays: only what was encrypted does`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            reading(("a", "INSTALLED", 1000, 2), gate: 90000)
        )
        #expect(await meter.end(hypervisorBytes: 50000).verdict == .leak)
    }

    @Test func `a gap that nothing fills makes the verdict unknown, never covered`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: nil),
            reading(("b", "INSTALLED", 3000, 3), gate: nil)
        )
        #expect(await meter.end(hypervisorBytes: 4000).verdict == .unknown)
    }

    @Test func `without the hypervisor's figure nothing is claimed`() async throws {
        let meter = try await meter(reading(("a", "INSTALLED", 0, 1), gate: 0))
        #expect(await meter.end(hypervisorBytes: nil).verdict == .unknown)
    }

    @Test func `an SA that vanished is a loss`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            TunnelReading(associations: [], gate: nil)
        )
        #expect(await meter.observe().isUp == false)
    }

    @Test func `packets that go out and are not answered are a loss after a while`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            reading(("a", "INSTALLED", 9000, 1), gate: 9000, silence: 3),
            reading(("a", "INSTALLED", 9000, 1), gate: 9000, silence: MoveMeter.silenceLimit)
        )
        #expect(await meter.observe().isUp)
        #expect(await meter.observe().isUp == false)
    }

    @Test func `a tunnel that is silent because nothing is sent is no loss`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 9000, 1), gate: 0, silence: 100),
            reading(("a", "INSTALLED", 9000, 1), gate: 0, silence: 200)
        )
        #expect(await meter.observe().isUp)
    }
}
