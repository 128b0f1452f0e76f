// SPDX-License-Identifier: Apache-2.0
internal import HostOS
import Fleet

/// Which orders hold which openings, and until when: two from one source over channels that come the same way share
/// theirs.
///
/// Changes take turns, so that the closing of one order's, however late, does not shut out the order that came after.
actor Pinholes {
    private let runner: CommandRunner
    private var held: [OrderID: (elements: [Pinhole.Element], until: ContinuousClock.Instant)] = [:]
    private var lastChange: Task<Void, any Error>?

    init(runner: CommandRunner) { self.runner = runner }

    /// Opens it for so long from now on, or for longer if another order needs that.
    func open(_ pinhole: Pinhole, for order: OrderID, window: Duration) async throws {
        held = held.filter { $0.value.until > .now }
        held[order] = (pinhole.elements, .now + window)
        try await change("opening a pinhole for \(pinhole.peer.name)") { pinholes in
            pinhole.elements.compactMap { pinholes.opening(of: $0) }
        }
    }

    /// Whether the order's opening was made by this life of the agent and not closed since, be its time over or not.
    func holds(_ order: OrderID) -> Bool { held[order] != nil }

    /// Closes what an order holds and nobody else does; it need not be open.
    ///
    /// `pinhole`: what it would hold by the present plan; for what an earlier life of this agent has opened.
    func close(_ order: OrderID, _ pinhole: Pinhole?) async throws {
        let elements = held.removeValue(forKey: order)?.elements ?? pinhole?.elements ?? []
        try await change("closing the pinhole of order \(order)") { pinholes in
            elements.map { pinholes.opening(of: $0) ?? Pinhole.removing($0.address, from: $0.set) }
        }
    }

    /// Opens it until the last order that holds it needs it no more; `nil` where none does.
    private func opening(of element: Pinhole.Element) -> String? {
        let ends = held.values.filter { $0.elements.contains(element) && $0.until > .now }.map(\.until)
        return ends.max().map { Pinhole.adding(element.address, to: element.set, for: $0 - .now) }
    }

    /// Loads what is to be changed when all changes before have been made.
    private func change(
        _ step: String,
        _ commands: @Sendable @escaping (isolated Pinholes) -> [String]
    ) async throws {
        let before = lastChange
        let change = Task {
            _ = await before?.result
            let text = commands(self).joined()
            guard !text.isEmpty else { return }
            try await runner.require(step, Gates.loadRuleset, input: text)
        }
        lastChange = change
        try await change.value
    }
}
