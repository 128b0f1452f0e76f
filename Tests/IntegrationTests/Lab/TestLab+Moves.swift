// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Ledger
import Testing

/// Orders and their outcomes.
extension TestLab {
    /// Gives a manual order that can be accepted within `lifetime`.
    func order(
        _ guest: String,
        from source: String,
        to target: String,
        lifetime: Duration = .seconds(60)
    ) async throws -> OrderID {
        let order = try await made(guest, from: source, to: target, lifetime: lifetime)
        try await lab.ledger(as: .operator).append(OrderRecord.migrate(order: order))
        return order.id
    }

    /// Returns an order that has not been submitted.
    func made(
        _ guest: String,
        from source: String,
        to target: String,
        lifetime: Duration = .seconds(60)
    ) async throws -> MigrationOrder {
        let plan = try self.guest(guest)
        let definition = try await definition(of: plan)
        let now = Instant.now
        return MigrationOrder(
            id: OrderID("test-\(UUID().uuidString.lowercased())"),
            vm: plan.uuid,
            vmName: plan.name,
            source: HostName(source),
            target: HostName(target),
            channel: .ipsec,
            definition: definition,
            issuedAt: now,
            expires: now + lifetime,
            issuer: .operator,
            reason: "a test"
        )
    }

    /// The definition in the newest sample: an order is valid only for that definition.
    private func definition(of guest: GuestPlan) async throws -> String {
        var found: String?
        try await poll("a sample with \(guest.name)'s definition", within: .seconds(60)) {
            let samples = try await lab.records(LoadSample.self)
            found = samples.reversed().lazy.compactMap { $0.vms?.first { $0.id == guest.uuid }?.definition }.first
            return found != nil
        }
        return try #require(found)
    }

    /// Starts a move that lasts long enough for an event in its middle; returns when memory is being sent.
    func beginSlowMove(
        _ guest: String = "vm1",
        from source: String = "h1",
        to target: String = "h2"
    ) async throws
        -> OrderID
    {
        try await slowDown(guest, on: source)
        let order = try await order(guest, from: source, to: target)
        try await waitUntilRunning(order)
        return order
    }

    /// Slows the guest's next move down to about a minute: 1 MiB/s for the memory in use.
    func slowDown(_ guest: String, on host: String) async throws {
        try await self.host(host).virsh(["migrate-setspeed", guest, "1"])
    }

    /// Lets a slow move, or the next one, run at full speed.
    func speedUp(_ guest: String = "vm1") async throws {
        for host in lab.hosts {
            let command = ["migrate-setspeed", guest, "1000"]
            // Only the host that has the VM can do this.
            _ = try? await host.virsh(command)
        }
    }

    /// Waits until the order has sent some of the memory.
    func waitUntilRunning(_ id: OrderID, within limit: Duration = .seconds(60)) async throws {
        try await poll("order \(id) to send memory", within: limit) {
            try await steps().contains { report in
                guard report.order == id, case .running(let progress) = report.step else { return false }
                return progress.bytesTransferred > 0
            }
        }
    }

    /// Waits for the order's end and returns it.
    func end(of id: OrderID, within limit: Duration = .seconds(150)) async throws -> OrderStep {
        try await poll("the end of order \(id)", within: limit) {
            try await steps().contains { $0.order == id && $0.step.isFinal }
        }
        let final = try await steps().filter { $0.order == id && $0.step.isFinal }
        #expect(final.count == 1, "an order ends once")
        return try #require(final.first).step
    }

    func failure(of id: OrderID, within limit: Duration = .seconds(150)) async throws -> OrderFailure {
        guard case .failed(let failure) = try await end(of: id, within: limit) else {
            throw Unexpected("order \(id) was carried out")
        }
        return failure
    }

    /// Returns how often any host began the order; more than once is forbidden.
    func beginnings(of id: OrderID) async throws -> Int {
        try await steps().count { report in
            // A move's first report is written before it begins and is the only one without figures.
            guard report.order == id, case .running(let progress) = report.step else { return false }
            return progress.bytesTotal == 0
        }
    }

    /// Waits for the order's end, which must be a completed move.
    func done(
        _ id: OrderID,
        within limit: Duration = .seconds(150)
    ) async throws -> (outcome: MigrationOutcome, evidence: Evidence) {
        switch try await end(of: id, within: limit) {
        case .done(let outcome, let evidence):
            // The other host must read the end before it accepts the VM's next order: it polls every half second.
            try await Task.sleep(for: .milliseconds(1500))
            return (outcome, evidence)
        case .failed(let failure): throw Unexpected("order \(id) failed: \(failure.text)")
        case let step: throw Unexpected("order \(id): \(step)")
        }
    }
}
