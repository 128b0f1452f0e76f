// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet
internal import HostOS
public import Ledger

extension LedgerFollower {
    /// Passes all new records to a controller's core, orders first: most reports then find their order.
    ///
    /// `take` receives the effects of each record at once: the core has applied the record even if a later one cannot
    /// be read. `seen` receives each sample.
    public mutating func pull(
        into core: inout some Core<ControllerCore.Event, ControllerCore.Effect>,
        _ take: ([ControllerCore.Effect]) -> Void = { _ in },
        seen: (LoadSample) -> Void = { _ in }
    ) async throws {
        try await readOrders { take(core.handle(.order($0))) }
        try await readReports { take(core.handle(.report($0, at: .now))) }
        try await readSamples {
            seen($0)
            take(core.handle(.sample($0, at: .now)))
        }
    }
}
