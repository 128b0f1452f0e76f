// SPDX-License-Identifier: Apache-2.0
import Fleet
import Synchronization
import Testing

@testable import Escort

/// The verdict on the gate's counters.
@Suite struct CountedPathTests {
    static func reading(_ sent: UInt64, clear: UInt64 = 0, dropped: UInt64 = 0) -> LANReading {
        LANReading(sent: TrafficCounters(bytes: sent, packets: sent / 1000), clear: clear, dropped: dropped)
    }

    static let session = SessionFacts(version: "TLSv1.3", suite: "TLS_AES_256_GCM_SHA384")
    static let certificate = CertificateFacts(
        subject: "CN=h2",
        issuer: "CN=ca",
        fingerprint: "ab",
        expires: Instant(milliseconds: 0)
    )

    /// Returns a protected path that sees these readings, one for each observation; `nil` fails.
    func protectedPath(_ readings: LANReading?...) async throws -> CountedPath {
        let script = Mutex(readings[...])
        return try await CountedPath(
            .tls,
            route: MigrationRoute(kind: .direct(address: "10.77.0.2"), tlsName: "h2"),
            proof: { .session(session: Self.session, certificate: Self.certificate, counters: $0) },
            use: TunnelUse()
        ) {
            guard let next = script.withLock({ $0.popFirst() }), let reading = next else {
                throw EscortError.refused(step: "reading", reason: "a test")
            }
            return reading
        }
    }

    @Test func `bytes are counted from the beginning and cover the bytes sent`() async throws {
        let protectedPath = try await protectedPath(
            Self.reading(5000),
            Self.reading(9000),
            Self.reading(15000, dropped: 3)
        )
        #expect(await protectedPath.observe() == PathObservation(bytes: 4000, loss: nil))
        let evidence = await protectedPath.end(hypervisorBytes: 9900)
        #expect(evidence.verdict == .covered && evidence.bytesOnPath == 10000)
        #expect(evidence.channel == .tls && evidence.droppedAtGates == 3)
        let counters = Evidence.CounterSpan(
            before: TrafficCounters(bytes: 5000, packets: 5),
            after: TrafficCounters(bytes: 15000, packets: 15)
        )
        #expect(
            evidence.proof == .session(session: Self.session, certificate: Self.certificate, counters: counters)
        )
    }

    @Test func `fewer bytes than the hypervisor sent are a leak`() async throws {
        let protectedPath = try await protectedPath(Self.reading(0), Self.reading(9000))
        #expect(await protectedPath.end(hypervisorBytes: 9001).verdict == .leak)
    }

    @Test func `a stream in the clear from this host is a loss and a leak`() async throws {
        let protectedPath = try await protectedPath(
            Self.reading(0),
            Self.reading(100, clear: 1),
            Self.reading(100, clear: 4)
        )
        #expect(await protectedPath.observe().loss == .inTheClear(packets: 1))
        #expect(await protectedPath.end(hypervisorBytes: 50).verdict == .leak)
    }

    @Test func `dropped packets of other streams do not affect the verdict`() async throws {
        let protectedPath = try await protectedPath(
            Self.reading(0),
            Self.reading(9000, dropped: 500),
            Self.reading(9000, dropped: 900)
        )
        #expect(await protectedPath.observe().isUp)
        #expect(await protectedPath.end(hypervisorBytes: 8000).verdict == .covered)
    }

    @Test func `counters that were reset leave the verdict open`() async throws {
        let protectedPath = try await protectedPath(
            Self.reading(50000),
            Self.reading(60000),
            Self.reading(100),
            Self.reading(200)
        )
        for _ in 1...2 { #expect(await protectedPath.observe().isUp) }
        #expect(await protectedPath.end(hypervisorBytes: 90000).verdict == .unknown)
    }

    @Test func `a last reading that fails leaves the verdict open`() async throws {
        let protectedPath = try await protectedPath(Self.reading(0), Self.reading(9000), nil)
        _ = await protectedPath.observe()
        let evidence = await protectedPath.end(hypervisorBytes: 9900)
        #expect(evidence.verdict == .unknown && evidence.bytesOnPath == nil && evidence.proof.counters == nil)
    }
}
