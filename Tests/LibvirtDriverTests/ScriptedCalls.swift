// SPDX-License-Identifier: Apache-2.0
import HostOS
import TestSupport
import Fleet
import Foundation
import Hypervisor

@testable import LibvirtDriver

/// Scripted answers of libvirt to the calls of a migration.
struct ScriptedCalls: MigrationCalls {
    let events = MigrationEvents()
    var migration: @Sendable (_ mayBegin: () -> Bool) throws -> Bool = { _ in false }
    var statistics: @Sendable () throws -> JobStatistics? = { nil }
    var abortion: @Sendable () throws -> Void = {}
    var source: @Sendable () throws -> DomainPresence = { .running }
    var completed: @Sendable () throws -> JobStatistics? = { nil }

    func migrate(mayBegin: () -> Bool) throws { _ = try migration(mayBegin) }
    func job() throws -> JobStatistics? { try statistics() }
    func abort() throws { try abortion() }
    func presenceAtSource() throws -> DomainPresence { try source() }
    func completedJobAtTarget() throws -> JobStatistics? { try completed() }

    /// Runs a migration with these calls; `isCancelled` cancels it from the beginning of the call on.
    func run(
        timeLimit: Duration = .seconds(20),
        stallLimit: Duration = .seconds(20),
        peer: Duration = .milliseconds(500),
        isCancelled: Bool = false,
        isOffline: Bool = false,
        transport: Transport = .direct(tls: nil, parallelConnections: nil),
        slots: CallSlots = CallSlots(1),
        peers: PeerCalls = PeerCalls(),
        report: @Sendable @escaping (MigrationProgress) -> Void = { _ in }
    ) async -> Result<MigrationOutcome, HypervisorError> {
        var limits = LibvirtHypervisor.Limits()
        limits.abort = .seconds(2)
        limits.settle = .seconds(3)
        limits.peer = peer
        var request = MigrationRequest.sample(VMID("aaaaaaaa-0000-4000-8000-00000000000a"), stall: stallLimit)
        request.timeLimit = timeLimit
        request.transport = transport
        request.isOffline = isOffline
        let began = Gate()
        var calls = self
        calls.migration = { [migration] mayBegin in
            try migration {
                defer { began.open() }
                return mayBegin()
            }
        }
        let run = LiveMigration(request, calls: calls, limits: limits, slots: slots, peers: peers, report: report)
        if isCancelled {
            Blocking.detach("libvirt-call") {
                began.pass()
                run.cancel()
            }
        }
        return await Blocking.run { run.carryOut() }
    }
}

/// Blocks its callers until it is opened, like a call that does not return.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func open() { semaphore.signal() }

    func pass() {
        semaphore.wait()
        semaphore.signal()
    }

    func passed<R>(_ value: R) -> R {
        pass()
        return value
    }
}

extension LibvirtError {
    // Numbers of virErrorNumber and virErrorDomain; 10 is the QEMU driver.
    static let operationInvalid = Self(domain: 10, code: 55, message: "domain is not running")
    static let operationAborted = Self(domain: 10, code: 78, message: "operation aborted")
    static let operationFailed = Self(domain: 10, code: 9, message: "migration failed")
}
