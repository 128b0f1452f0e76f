// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

struct MovePhaseTests {
    private static let order = OrderID("o1")
    private static let failed = OrderStep.failed(
        failure: OrderFailure(.cancelled, .order(.cancelled(reason: "a test")), .at(HostName("h1")))
    )

    private static func running(_ bytes: UInt64) -> OrderStep {
        .running(
            progress: MigrationProgress(elapsedSeconds: 1, bytesTransferred: bytes, bytesRemaining: 1, bytesTotal: 9)
        )
    }

    private static func trace(_ channel: Channel, _ steps: [OrderStep]) -> MoveTrace {
        let at = Instant(milliseconds: 0)
        return MoveTrace(
            channel: channel,
            reports: steps.map { OrderReport(order: order, host: HostName("h1"), at: at, step: $0) }
        )
    }

    @Test func `a live move passes its phases in order`() {
        var trace = Self.trace(.ipsec, [])
        #expect(trace.phase == nil)
        trace = Self.trace(.ipsec, [.prepared()])
        #expect(trace.phase == .prepared)
        trace = Self.trace(.ipsec, [.prepared(), Self.running(0)])
        #expect(trace.phase == .begun)
        trace = Self.trace(.ipsec, [.prepared(), Self.running(0), Self.running(5)])
        #expect(trace.phase == .copying)
        trace.isSuspended = true
        #expect(trace.phase == .switchOver)
        trace.runsAtTarget = true
        #expect(trace.phase == .moved)
    }

    @Test func `a sealed move passes its phases in order`() {
        var steps: [OrderStep] = [.prepared()]
        var trace = Self.trace(.sealed, steps)
        trace.hasImage = true
        #expect(trace.phase == .prepared, "the image belongs to another order")
        steps.append(Self.running(0))
        trace = Self.trace(.sealed, steps)
        #expect(trace.phase == .begun)
        trace.hasImage = true
        #expect(trace.phase == .saving)
        steps.append(.opened(digest: ""))
        steps.append(.released)
        trace = Self.trace(.sealed, steps)
        #expect(trace.phase == .restoring)
        steps.append(.restored(at: Instant(milliseconds: 0)))
        #expect(Self.trace(.sealed, steps).phase == .moved)
    }

    @Test func `a paused VM is not a switch-over of a sealed move, and its figures are not copying`() {
        var trace = Self.trace(.sealed, [Self.running(5)])
        trace.isSuspended = true
        #expect(trace.phase == .begun)
    }

    @Test func `a phase is ahead, present or over`() {
        let trace = Self.trace(.tls, [.prepared(), Self.running(5)])
        #expect(trace.standing(of: .switchOver) == .ahead)
        #expect(trace.standing(of: .copying) == .reached)
        #expect(trace.standing(of: .prepared) == .passed)
        #expect(Self.trace(.tls, []).standing(of: .accepted) == .ahead)
    }

    @Test func `a fault strikes its phase, another one, or nothing under way`() {
        let trace = Self.trace(.tls, [.prepared(), Self.running(5)])
        #expect(trace.hit(.copying) == .inPhase)
        #expect(trace.hit(.begun) == .otherPhase(.copying))
        #expect(Self.trace(.tls, []).hit(.accepted) == .otherPhase(nil))
        #expect(Self.trace(.tls, [Self.running(5), Self.failed]).hit(.copying) == .afterEnd)
    }

    @Test func `the events of libvirt have a time, a domain and a name`() {
        let line = "2026-11-30 18:00:55.887+0000: event 'lifecycle' for domain 'vm1': Suspended Paused"
        let event = DomainEvent(line: line[...])
        #expect(event?.at == Instant(milliseconds: 1_796_061_655_887))
        #expect(event?.domain == "vm1" && event?.name == "Suspended")
        let plain = "2026-11-30 18:00:55.887+0000: event 'lifecycle' for domain vm2: Resumed Migrated"
        #expect(DomainEvent(line: plain[...])?.domain == "vm2")
        #expect(DomainEvent(line: "events received: 1") == nil)
        #expect(DomainEvent(line: "event 'lifecycle' for domain 'vm1': Suspended Paused") == nil)
    }

    @Test func `no phase is reached after the end`() {
        let trace = Self.trace(.tls, [.prepared(), Self.running(5), Self.failed])
        for phase in MovePhase.allCases { #expect(trace.standing(of: phase) == .passed) }
    }
}
