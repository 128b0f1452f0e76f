// SPDX-License-Identifier: Apache-2.0
internal import HostOS
import Fleet

/// The pinholes that each order holds, and until when.
///
/// Two orders from one source over channels with the same path share set elements. Changes are serialized: a late close
/// for one order must not shut out the next one.
actor Pinholes {
    private let runner: CommandRunner
    private var held: [OrderID: (elements: [Pinhole.Element], until: ContinuousClock.Instant)] = [:]
    private var lastChange: Task<Void, any Error>?

    init(runner: CommandRunner) { self.runner = runner }

    /// Opens the pinhole for `window` from now on, or longer if another order needs it.
    func open(_ pinhole: Pinhole, for order: OrderID, window: Duration) async throws {
        held = held.filter { $0.value.until > .now }
        held[order] = (pinhole.elements, .now + window)
        try await change("opening a pinhole for \(pinhole.peer.name)") { pinholes in
            pinhole.elements.compactMap { pinholes.opening(of: $0) }
        }
    }

    /// Whether this run of the agent opened the order's pinhole and has not closed it; it may have expired.
    func holds(_ order: OrderID) -> Bool { held[order] != nil }

    /// Closes the elements that only this order holds; they need not be open.
    ///
    /// `pinhole`: the elements by the present plan, for a pinhole that a previous run of the agent opened.
    func close(_ order: OrderID, _ pinhole: Pinhole?) async throws {
        let elements = held.removeValue(forKey: order)?.elements ?? pinhole?.elements ?? []
        try await change("closing the pinhole of order \(order)") { pinholes in
            elements.map { pinholes.opening(of: $0) ?? Pinhole.removing($0.address, from: $0.set) }
        }
    }

    /// Returns the commands that keep an element open until its last order ends; `nil` if no order holds it.
    private func opening(of element: Pinhole.Element) -> String? {
        let ends = held.values.filter { $0.elements.contains(element) && $0.until > .now }.map(\.until)
        return ends.max().map { Pinhole.adding(element.address, to: element.set, for: $0 - .now) }
    }

    /// Loads the commands after all earlier changes are done.
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
