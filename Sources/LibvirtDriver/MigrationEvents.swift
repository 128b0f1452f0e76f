// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Synchronization

/// libvirt's events of one migration: its iterations, and the final statistics.
///
/// At the source, only this event has the final statistics: afterwards the domain is gone there.
final class MigrationEvents: Sendable {
    private struct Seen {
        var iteration: Int?
        var completed: JobStatistics?
    }
    private let seen = Mutex(Seen())
    private let arrival = DispatchSemaphore(value: 0)

    var iteration: Int? { seen.withLock { $0.iteration } }

    /// Returns the statistics of the completed job; waits up to `limit`, since the event may follow the call's return.
    func completed(within limit: Duration) -> JobStatistics? {
        if let completed = seen.withLock({ $0.completed }) { return completed }
        _ = arrival.wait(timeout: .now() + limit.inSeconds)
        return seen.withLock { $0.completed }
    }

    fileprivate func note(iteration: Int) { seen.withLock { $0.iteration = iteration } }

    fileprivate func note(completed: JobStatistics) {
        seen.withLock { $0.completed = completed }
        arrival.signal()
    }
}

/// The registration of a `MigrationEvents` for one domain, removed at the end of its lifetime.
struct MigrationSubscription: ~Copyable {
    private let connection: Connection
    private let callbacks: [Int32]

    /// Registers the events; a driver without them delivers none.
    init(of domain: borrowing DomainHandle, on connection: Connection, to events: MigrationEvents) {
        self.connection = connection
        let release: virFreeCallback = { opaque in
            guard let opaque else { return }
            Unmanaged<MigrationEvents>.fromOpaque(opaque).release()
        }
        let iteration: virConnectDomainEventMigrationIterationCallback = { _, _, iteration, opaque in
            guard let opaque else { return }
            Unmanaged<MigrationEvents>.fromOpaque(opaque).takeUnretainedValue().note(iteration: Int(iteration))
        }
        let completed: virConnectDomainEventJobCompletedCallback = { _, _, parameters, count, opaque in
            guard let opaque else { return }
            let job = JobStatistics(TypedParameters(pointer: parameters, count: count))
            Unmanaged<MigrationEvents>.fromOpaque(opaque).takeUnretainedValue().note(completed: job)
        }
        // The C interface has one callback type for all events and casts it back according to the event's number.
        let wanted: [(virDomainEventID, virConnectDomainEventGenericCallback)] = [
            (
                VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                unsafeBitCast(iteration, to: virConnectDomainEventGenericCallback.self)
            ),
            (
                VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
                unsafeBitCast(completed, to: virConnectDomainEventGenericCallback.self)
            ),
        ]
        var callbacks: [Int32] = []
        for (event, callback) in wanted {
            let opaque = Unmanaged.passRetained(events).toOpaque()
            let id = virConnectDomainEventRegisterAny(
                connection.handle.pointer,
                domain.pointer,
                Int32(event.rawValue),
                callback,
                opaque,
                release
            )
            if id >= 0 { callbacks.append(id) } else { release(opaque) }
        }
        self.callbacks = callbacks
    }

    deinit {
        for callback in callbacks { virConnectDomainEventDeregisterAny(connection.handle.pointer, callback) }
    }
}
