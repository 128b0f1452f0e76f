// SPDX-License-Identifier: Apache-2.0
internal import Commands
import Fleet

/// Which orders hold which openings: two from one source over one channel share theirs.
///
/// Changes take turns, so that the closing of one order's, however late, does not shut out the order that came after.
actor Pinholes {
    private let runner: CommandRunner
    private var holders: [Pinhole.Element: Set<OrderID>] = [:]
    private var lastChange: Task<Void, any Error>?

    init(runner: CommandRunner) { self.runner = runner }

    /// Opens it for so long from now on, also if it is open.
    func open(_ pinhole: Pinhole, for order: OrderID, window: Duration) async throws {
        let elements = pinhole.elements
        for element in elements { holders[element, default: []].insert(order) }
        try await change("opening a pinhole for \(pinhole.peer.name)") { _ in
            elements.map { Pinhole.adding($0.address, to: $0.set, for: window) }
        }
    }

    /// Closes what nobody else holds; it need not be open.
    func close(_ pinhole: Pinhole, of order: OrderID) async throws {
        let elements = pinhole.elements
        for element in elements {
            holders[element]?.remove(order)
            if holders[element]?.isEmpty == true { holders[element] = nil }
        }
        try await change("closing the pinhole for \(pinhole.peer.name)") { held in
            elements.filter { held[$0] == nil }.map { Pinhole.removing($0.address, from: $0.set) }
        }
    }

    /// Loads what is to be changed when all changes before have been made.
    private func change(
        _ step: String,
        _ commands: @Sendable @escaping ([Pinhole.Element: Set<OrderID>]) -> [String]
    ) async throws {
        let before = lastChange
        let change = Task {
            _ = await before?.result
            let text = commands(holders).joined()
            guard !text.isEmpty else { return }
            try await runner.require(step, Gates.loadRuleset, input: text)
        }
        lastChange = change
        try await change.value
    }
}
