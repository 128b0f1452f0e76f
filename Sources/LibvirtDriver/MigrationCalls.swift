// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

/// What one migration asks of libvirt at both ends; any of it may block for as long as libvirt likes.
protocol MigrationCalls: Sendable {
    /// What libvirt's events tell while it runs.
    var events: MigrationEvents { get }
    /// Migrates, unless `mayBegin` says no; returns whether the VM has to be set to start with its new host.
    func migrate(mayBegin: () -> Bool) throws -> Bool
    /// The outgoing migration's statistics at the source; `nil` when none runs.
    func job() throws -> JobStatistics?
    /// Asks the outgoing migration to stop.
    func abort() throws
    func presenceAtSource() throws -> DomainPresence
    func presenceAtTarget() throws -> DomainPresence
    /// The statistics of the completed migration, which the target keeps.
    func completedJobAtTarget() throws -> JobStatistics?
    /// Lets the VM start with its new host.
    func setAutostartAtTarget() throws
}

/// The calls as libvirt's C API makes them.
struct LibvirtMigrationCalls: MigrationCalls {
    let request: MigrationRequest
    let attempt: String
    let events = MigrationEvents()
    /// A connection for this migration's questions alone: those that libvirtd does not answer take up its few requests
    /// per client, which others must not wait for.
    private let source: Connector

    init(_ request: MigrationRequest, uri: String, attempt: String) {
        self.request = request
        self.attempt = attempt
        source = Connector(uri: uri)
    }

    func migrate(mayBegin: () -> Bool) throws -> Bool {
        try MigrationCall(request: request, events: events).run(on: source.uri, attempt: attempt, mayBegin: mayBegin)
    }

    func job() throws -> JobStatistics? { try source.use(attempt) { try $0.migrationJob(of: request.vm) } }

    func abort() throws { try source.use(attempt) { try $0.abortMigration(of: request.vm) } }

    func presenceAtSource() throws -> DomainPresence { try source.use(attempt) { try $0.presence(of: request.vm) } }

    func presenceAtTarget() throws -> DomainPresence {
        try Connection(opening: request.peerURI).presence(of: request.vm)
    }

    func completedJobAtTarget() throws -> JobStatistics? {
        let peer = try Connection(opening: request.peerURI)
        return try JobStatistics.of(DomainHandle(uuid: request.vm.rawValue, on: peer.handle), completed: true)
    }

    func setAutostartAtTarget() throws {
        let peer = try Connection(opening: request.peerURI)
        let domain = try DomainHandle(uuid: request.vm.rawValue, on: peer.handle)
        guard virDomainSetAutostart(domain.pointer, 1) == 0 else {
            throw LibvirtError.last(in: "virDomainSetAutostart")
        }
    }
}
