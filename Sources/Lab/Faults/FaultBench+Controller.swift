// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Settings

/// Moves that the controller orders: those of its own cells, and the last one of every cell.
extension FaultBench {
    /// Time in which a controller that has just started orders a move that a rule requires.
    private static let orderLimit: Duration = .seconds(90)

    /// Returns settings with which the controller moves the guest to a host, over a channel, and nothing else.
    static func settings(
        _ settings: Settings,
        requiring guest: GuestPlan,
        on host: HostName,
        over channel: Channel
    ) -> Settings {
        var own = settings
        own.policy.mode = .automatic
        // Only what rules require.
        own.policy.planning.aggressiveness = 1
        own.policy.rules = [PlacementRule(name: "fault-cell", kind: .onlyOn, vms: [guest.uuid], hosts: [host])]
        own.policy.channels = [channel]
        // The previous cell has moved it.
        own.policy.cooldown = .seconds(1)
        own.policy.noReturn = .seconds(1)
        return own
    }

    /// Lets the controller order the move, and returns its order; `reports` then has only what follows.
    mutating func orderByController(
        _ guest: GuestPlan,
        from source: HostName,
        to target: HostName,
        over channel: Channel
    ) async throws -> OrderID {
        try await forgetOrders()
        try await restartController(with: Self.settings(settings, requiring: guest, on: target, over: channel))
        let ordered = try await poll(every: .milliseconds(50), within: Self.orderLimit) {
            try await readOrders()
            return ordersOfController.first { $0.vm == guest.uuid }
        }
        guard let order = ordered else {
            throw LabError.move(
                guest: guest.name,
                reason:
                    "a rule requires it on \(target), and the controller ordered nothing within \(Self.orderLimit.text)"
            )
        }
        guard order.source == source, order.target == target, order.channel == channel else {
            throw LabError.move(
                guest: guest.name,
                reason: "the controller ordered \(order.source) → \(order.target) over \(order.channel.rawValue)"
            )
        }
        log("order \(order.id) of the controller: \(guest.name) \(source) → \(target) over \(channel.rawValue)")
        return order.id
    }

    /// Makes every further move an operator's again; returns the broken rules about what the controller ordered.
    mutating func releaseController(
        after end: FaultObservation.End?,
        of guest: GuestPlan
    ) async throws -> [String] {
        try await readOrders()
        let count = ordersOfController.count { $0.vm == guest.uuid }
        try await restartController(with: settings)
        // It may repeat a move that has failed.
        return count > 1 && end?.isDone == true ? ["the controller ordered the move \(count) times"] : []
    }

    /// Lets the controller bring the guest to a host that a rule requires; returns its orders.
    ///
    /// It may repeat a move that has failed, until the time limit.
    mutating func balance(
        _ guest: GuestPlan,
        from source: HostName,
        to target: HostName,
        _ daemons: inout ProcessTable,
        _ result: inout FaultResult
    ) async throws -> [OrderID] {
        result.violations += daemons.ended(by: lab.processTable())
        try await setRate(Self.fullRate, of: guest, on: lab.host(source))
        let marks = ConsoleMarks(lab)
        try await forgetOrders()
        let channel = result.cell.channel
        try await restartController(with: Self.settings(settings, requiring: guest, on: target, over: channel))
        let isDone = try await poll(every: .milliseconds(300), within: Self.moveLimit) { () -> Bool? in
            try await readOrders()
            try await readReports()
            return ordersOfController.contains { end(of: $0.id)?.isDone == true } ? true : nil
        }
        // A second order follows within some decisions, if there is one.
        try await Task.sleep(for: settings.decisionInterval * 3)
        try await readOrders()
        try await readReports()
        let orders = ordersOfController.map(\.id)
        result.violations += daemons.ended(by: lab.processTable(), except: ["controller"])
        try await restartController(with: settings)
        daemons = lab.processTable()
        result.violations += daemons.missing
        let ends = orders.map { end(of: $0) }
        let text = ends.map { $0?.text ?? "open" }.joined(separator: "; ")
        log("move of the controller: \(text)")
        if ends.contains(where: { $0?.evidence == .leak }) {
            result.violations.append("the evidence of the controller's move shows a leak")
        }
        guard isDone != nil else {
            result.violations.append("the controller did not bring \(guest.name) to \(target): \(text)")
            return orders
        }
        if ends.count > 1 { result.notes.append("moves of the controller: \(text)") }
        if ends.last??.isDone != true || ends.count(where: { $0?.isDone == true }) > 1 {
            result.violations.append("the controller ordered more after the move had succeeded: \(text)")
        }
        result.violations += try await waitForRest(since: marks)
        return orders
    }

    private func restartController(with settings: Settings) async throws {
        try lab.configure(settings)
        try await lab.killController(signal: .terminate)
        try await lab.startController(programs)
    }
}
