// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

/// The libvirt calls of one migration at both ends; each may block indefinitely.
protocol MigrationCalls: Sendable {
    /// libvirt's events of the running migration.
    var events: MigrationEvents { get }
    /// Migrates unless `mayBegin` returns false.
    func migrate(mayBegin: () -> Bool) throws
    /// Returns the statistics of the outgoing migration at the source; `nil` if none runs.
    func job() throws -> JobStatistics?
    /// Asks the outgoing migration to stop.
    func abort() throws
    func presenceAtSource() throws -> DomainPresence
    /// Returns the statistics of the completed migration, which the target keeps.
    ///
    /// Without the number of bytes sent, the evidence of the move proves nothing.
    func completedJobAtTarget() throws -> JobStatistics?
}

/// The calls through libvirt's C API.
struct LibvirtMigrationCalls: MigrationCalls {
    let request: MigrationRequest
    let attempt: String
    let events = MigrationEvents()
    /// A connection for the queries of this migration only.
    ///
    /// Queries that libvirtd does not answer use up its few requests per client, and other callers must not wait for
    /// them.
    private let source: Connector

    init(_ request: MigrationRequest, uri: String, attempt: String) {
        self.request = request
        self.attempt = attempt
        source = Connector(uri: uri)
    }

    func migrate(mayBegin: () -> Bool) throws {
        if request.isOffline {
            try OfflineCall(request: request).run(on: source.uri, attempt: attempt, mayBegin: mayBegin)
        } else {
            try MigrationCall(request: request, events: events)
                .run(on: source.uri, attempt: attempt, mayBegin: mayBegin)
        }
    }

    func job() throws -> JobStatistics? { try source.use(attempt) { try $0.migrationJob(of: request.vm) } }

    func abort() throws { try source.use(attempt) { try $0.abortMigration(of: request.vm) } }

    func presenceAtSource() throws -> DomainPresence { try source.use(attempt) { try $0.presence(of: request.vm) } }

    func completedJobAtTarget() throws -> JobStatistics? {
        let peer = try Connection(opening: request.peerURI)
        return try JobStatistics.of(DomainHandle(uuid: request.vm.rawValue, on: peer.handle), completed: true)
    }
}
