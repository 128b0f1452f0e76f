// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Escort

@Suite struct MoveMeterTests {
    /// Returns readings and failures one after the other; the last one repeats.
    actor Script {
        private var steps: [Result<TunnelReading, any Error>]
        init(_ steps: [Result<TunnelReading, any Error>]) { self.steps = steps }
        func next() throws -> TunnelReading {
            guard let first = steps.first else { throw EscortError.notApplied }
            if steps.count > 1 { steps.removeFirst() }
            return try first.get()
        }
    }

    static let noAnswer = EscortError.charonNotRunning(socket: "test", reason: "no answer within 5 s")

    /// A reading with one or more children: SPI, state, bytes out, packets in.
    func reading(
        _ children: (String, String, UInt64, UInt64)...,
        gate: UInt64?,
        silence: Int = 0,
        dropped: UInt64? = nil
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
            gate: gate.map { TrafficCounters(bytes: $0, packets: $0 / 1000) },
            dropped: dropped
        )
    }

    func meter(_ readings: TunnelReading...) async throws -> MoveMeter {
        try await meter(steps: readings.map { .success($0) })
    }

    func meter(steps: [Result<TunnelReading, any Error>]) async throws -> MoveMeter {
        let script = Script(steps)
        return try await MoveMeter(
            peer: "h2",
            route: MigrationRoute(kind: .direct(address: "10.78.0.2")),
            implementation: .userSpace,
            use: TunnelUse()
        ) { try await script.next() }
    }

    @Test func `bytes of one SA are counted from the beginning of the move`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 5000, 1), gate: nil),
            reading(("a", "INSTALLED", 9000, 2), gate: nil)
        )
        let evidence = await meter.end(hypervisorBytes: 4000)
        #expect(evidence.bytesOnPath == 4000 && evidence.verdict == .covered)
        #expect(evidence.proof.counters?.before.bytes == 5000 && evidence.proof.counters?.after.bytes == 9000)
        #expect(evidence.proof.association?.outboundSPI == "a")
    }

    @Test func `rekeying loses no bytes: the gate's counter supplies what charon forgot`() async throws {
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
        #expect(evidence.bytesOnPath == 22000 && evidence.verdict == .covered)
        #expect(evidence.proof.association?.outboundSPI == "b")
    }

    @Test func `the counters before and after belong to the named SA`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 70000, 1), gate: 0),
            reading(("a", "DELETED", 80000, 2), ("b", "INSTALLED", 3000, 3), gate: 13000)
        )
        let evidence = await meter.end(hypervisorBytes: 13000)
        #expect(evidence.proof.association?.outboundSPI == "b" && evidence.bytesOnPath == 13000)
        #expect(evidence.proof.counters?.before == TrafficCounters(bytes: 0, packets: 0))
        #expect(evidence.proof.counters?.after == TrafficCounters(bytes: 3000, packets: 3))
    }

    @Test(arguments: [noAnswer, CancellationError()] as [any Error])
    func `a failed reading in the middle takes nothing from the evidence`(failure: any Error) async throws {
        let meter = try await meter(steps: [
            .success(reading(("a", "INSTALLED", 0, 1), gate: 0)),
            .failure(failure),
            .success(reading(("a", "INSTALLED", 3000, 2), gate: 3000)),
        ])
        #expect(await meter.observe().isUp == (failure is CancellationError))
        let evidence = await meter.end(hypervisorBytes: 4000)
        #expect(evidence.verdict == .leak && evidence.proof.counters?.after.bytes == 3000)
    }

    @Test(arguments: [noAnswer, CancellationError()] as [any Error])
    func `a last reading that fails leaves the verdict open`(failure: any Error) async throws {
        let meter = try await meter(steps: [
            .success(reading(("a", "INSTALLED", 0, 1), gate: 0, dropped: 0)),
            .success(reading(("a", "INSTALLED", 3000, 2), gate: 3000, dropped: 0)),
            .failure(failure),
        ])
        #expect(await meter.observe().isUp)
        let evidence = await meter.end(hypervisorBytes: 4000)
        #expect(evidence.verdict == .unknown && evidence.proof.association?.outboundSPI == "a")
        #expect(evidence.bytesOnPath == 3000 && evidence.proof.counters == nil && evidence.droppedAtGates == nil)
    }

    @Test func `a gate that was unreadable for a moment still fills the gap`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            reading(("b", "INSTALLED", 2000, 2), gate: nil),
            reading(("b", "INSTALLED", 3000, 3), gate: 10000)
        )
        #expect(await meter.observe() == .init(bytes: 2000, loss: nil))
        let evidence = await meter.end(hypervisorBytes: 20000)
        #expect(evidence.bytesOnPath == 10000 && evidence.verdict == .leak)
    }

    @Test(
        arguments: [(7, 9, 2), (7, 7, 0), (7, 3, nil), (nil, 3, nil), (3, nil, nil)] as [(UInt64?, UInt64?, UInt64?)]
    )
    func `only drops during the move count as drops at the gates`(
        before: UInt64?,
        after: UInt64?,
        told: UInt64?
    ) async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0, dropped: before),
            reading(("a", "INSTALLED", 0, 1), gate: 0, dropped: after)
        )
        #expect(await meter.end(hypervisorBytes: 0).droppedAtGates == told)
    }

    @Test func `an SA without figures cannot begin a move`() async throws {
        var blind = try reading(("a", "INSTALLED", 0, 1), gate: 0)
        blind.associations[0].children[0].outbound = nil
        let opening = blind
        await #expect(throws: EscortError.self) { try await meter(opening) }
    }

    @Test func `an SA's bytes from before the move never count, even if its figures come late`() async throws {
        var opening = try reading(("old", "REKEYED", 0, 1), ("a", "INSTALLED", 0, 1), gate: 0)
        opening.associations[0].children[0].outbound = nil
        let meter = try await meter(
            opening,
            reading(("old", "DELETED", 90000, 1), ("a", "INSTALLED", 3000, 2), gate: 3000)
        )
        let evidence = await meter.end(hypervisorBytes: 4000)
        #expect(evidence.bytesOnPath == 3000 && evidence.verdict == .unknown)
    }

    @Test func `while the SA stays, only its encrypted bytes count, not the gate's counter`() async throws {
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

    @Test func `without the hypervisor's figure the verdict is unknown`() async throws {
        let meter = try await meter(reading(("a", "INSTALLED", 0, 1), gate: 0))
        #expect(await meter.end(hypervisorBytes: nil).verdict == .unknown)
    }

    @Test func `an SA that vanished is a loss`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            TunnelReading(associations: [], gate: nil)
        )
        #expect(await meter.observe().loss == .noAssociation(HostName("h2")))
    }

    @Test func `outgoing packets without an answer are a loss after a while`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 0, 1), gate: 0),
            reading(("a", "INSTALLED", 9000, 1), gate: 9000, silence: 3),
            reading(("a", "INSTALLED", 9000, 1), gate: 9000, silence: MoveMeter.silenceLimit)
        )
        #expect(await meter.observe().isUp)
        #expect(await meter.observe().loss == .silent(HostName("h2"), seconds: MoveMeter.silenceLimit))
    }

    @Test func `a tunnel without traffic is no loss`() async throws {
        let meter = try await meter(
            reading(("a", "INSTALLED", 9000, 1), gate: 0, silence: 100),
            reading(("a", "INSTALLED", 9000, 1), gate: 0, silence: 200)
        )
        #expect(await meter.observe().isUp)
    }
}
