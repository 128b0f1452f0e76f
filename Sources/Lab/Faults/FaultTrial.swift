// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A move that a fault has struck.
struct FaultTrial: Sendable {
    let cell: FaultCell
    let watch: MoveWatch
    let target: LabHost
    /// From before the order.
    let marks: ConsoleMarks
    /// Where every guest was before.
    let homes: [String: HostName]
    /// When the fault struck; `nil` if nothing was struck.
    let struckAt: Instant?

    var guest: GuestPlan { watch.guest }
    var source: LabHost { watch.source }
    var order: OrderID { watch.order }

    /// Returns what the fault has struck.
    ///
    /// It is derived from what had been reported at that moment. A host that was frozen writes its reports later.
    func hit(_ reports: [OrderReport]) -> FaultHit {
        guard let struckAt else { return .nothing }
        return watch.trace(of: cell.channel, reports, at: struckAt).hit(cell.phase)
    }

    /// Returns the broken rules about all guests.
    func violations(_ observation: FaultObservation, _ hit: FaultHit) -> [String] {
        let (from, to) = (source.name, target.name)
        return observation.violations(of: cell, guest: guest.name, from: from, to: to, hit: hit)
            + bystanderViolations(observation)
    }

    func bystanderViolations(_ observation: FaultObservation) -> [String] {
        let withoutPower = cell.hostWithoutPower.map { $0 == .sourceHost ? source.name : target.name }
        return homes.sorted { $0.key < $1.key }.filter { $0.key != guest.name }.flatMap { name, home in
            observation.violations(ofBystander: name, on: home, mayBoot: home == withoutPower)
        }
    }
}

/// The sources from which the phase of a move is recognised.
struct MoveWatch: Sendable {
    let order: OrderID
    let guest: GuestPlan
    let source: LabHost
    let events: (source: DomainEvents, target: DomainEvents)

    /// Returns what was known of the move at a time; `nil`: now.
    func trace(of channel: Channel, _ reports: [OrderReport], at time: Instant? = nil) -> MoveTrace {
        MoveTrace(
            channel: channel,
            reports: reports.filter { $0.order == order && $0.at <= (time ?? $0.at) },
            // It appears after the report that the move has begun, and stays until a later report.
            hasImage: channel == .sealed && (time != nil || source.hasSealedImage(of: order)),
            isSuspended: events.source.has("Suspended", of: guest, by: time),
            runsAtTarget: events.target.has("Resumed", of: guest, by: time)
        )
    }

    func end() async throws {
        try await events.source.end()
        try await events.target.end()
    }
}
