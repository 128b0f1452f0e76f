// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

/// The blocking part of one migration, on its own connection: checks, prepares and makes the call.
struct MigrationCall {
    let request: MigrationRequest
    let events: MigrationEvents

    /// Returns once the VM runs at the target.
    ///
    /// Calls `mayBegin` last: if it returned false or was never called, nothing has been touched.
    func run(on uri: String, attempt: String, mayBegin: () -> Bool) throws {
        let connection = try Self.connect(to: uri, attempt: attempt)
        let domain = try DomainHandle(uuid: request.vm.rawValue, on: connection.handle)
        let isPersistent = try check(domain, attempt: attempt)
        let traits = MigrationTraits.of(connection.type)
        var parameters = OwnedParameters()
        let carrying = try traits.flags(for: request.transport, libvirt: connection.libvirtVersion(), attempt: attempt)
        try add(request.transport, to: &parameters, traits)
        // Pass both definitions as read here. If one is missing, libvirt replaces it with the current one of either
        // side, which may name the source's devices (CVE-2020-17376).
        try parameters.add(VIR_MIGRATE_PARAM_DEST_XML, Self.definition(of: domain))
        var flags = VIR_MIGRATE_LIVE.rawValue | VIR_MIGRATE_PEER2PEER.rawValue | traits.guards | carrying
        if isPersistent {
            flags |= VIR_MIGRATE_PERSIST_DEST.rawValue | VIR_MIGRATE_UNDEFINE_SOURCE.rawValue
            if traits.takesPersistentXML {
                let persistent = try Self.definition(of: domain, VIR_DOMAIN_XML_INACTIVE.rawValue)
                try parameters.add(VIR_MIGRATE_PARAM_PERSIST_XML, persistent)
            }
        }
        let subscription = MigrationSubscription(of: domain, on: connection, to: events)
        defer { withExtendedLifetime(connection) {} }
        guard mayBegin() else {
            throw Self.notBegun(attempt: attempt)
        }
        let former = Self.setMaxDowntime(of: domain, milliseconds: UInt64(request.maxDowntime.inSeconds * 1000))
        let result = virDomainMigrateToURI3(
            domain.pointer,
            request.peerURI,
            parameters.pointer,
            UInt32(parameters.count),
            flags
        )
        guard result == 0 else {
            let error = LibvirtError.last(in: "virDomainMigrateToURI3")
            if let former { _ = virDomainMigrateSetMaxDowntime(domain.pointer, former, 0) }
            throw error
        }
        // Wait before the subscription ends: the event may arrive after the call has returned.
        _ = events.completed(within: .seconds(2))
        _ = consume subscription
    }

    /// Adds the transport's parameters.
    ///
    /// Compression of parallel connections stays off, the default: its parsers have had bugs.
    private func add(
        _ transport: Transport,
        to parameters: inout OwnedParameters,
        _ traits: MigrationTraits
    ) throws(LibvirtError) {
        // A tunnelled migration has no address of QEMU; libvirt refuses one.
        guard case .direct(let tls, let parallelConnections) = transport else { return }
        try parameters.add(VIR_MIGRATE_PARAM_URI, request.migrateURI)
        if traits.takesListenAddress { try parameters.add(VIR_MIGRATE_PARAM_LISTEN_ADDRESS, request.listenAddress) }
        if let tls { try parameters.add(VIR_MIGRATE_PARAM_TLS_DESTINATION, tls.targetName) }
        if let parallelConnections {
            try parameters.add(VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, Int32(parallelConnections))
        }
    }

    static func connect(to uri: String, attempt: String) throws(HypervisorError) -> Connection {
        do {
            return try Connection(opening: uri)
        } catch {
            throw HypervisorError(.notConnected, attempt: attempt, detail: "no connection to \(uri): \(error.detail)")
        }
    }

    static func notBegun(attempt: String) -> HypervisorError {
        HypervisorError(.cancelled, attempt: attempt, detail: "ended before it had begun; nothing was touched")
    }

    /// Returns whether the VM is persistent; throws if it may not move.
    ///
    /// A transient VM stays transient at the target: the move neither loses nor adds a definition.
    private func check(_ domain: borrowing DomainHandle, attempt: String) throws -> Bool {
        try DomainState.checkRunsWithoutJob(domain, attempt: attempt)
        let blockers = try Connection.ownBlockers(of: domain)
        guard blockers.isEmpty else {
            let detail = blockers.map { PreflightFailure.Reason.hypervisor($0).text }.joined(separator: "; ")
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        return try domain.isPersistent()
    }

    /// Returns the migratable definition with its secrets (such as a VNC password); only the target receives it.
    private static func definition(
        of domain: borrowing DomainHandle,
        _ more: UInt32 = 0
    ) throws(LibvirtError) -> String {
        let flags = VIR_DOMAIN_XML_MIGRATABLE.rawValue | VIR_DOMAIN_XML_SECURE.rawValue | more
        return try takeString(virDomainGetXMLDesc(domain.pointer, flags), from: "virDomainGetXMLDesc")
    }

    /// Sets the maximum downtime and returns the previous one, to restore it if the VM stays.
    ///
    /// A driver without this setting keeps its own; the migration goes ahead.
    private static func setMaxDowntime(of domain: borrowing DomainHandle, milliseconds: UInt64) -> UInt64? {
        var former: UInt64 = 0
        let isKnown = virDomainMigrateGetMaxDowntime(domain.pointer, &former, 0) == 0
        guard virDomainMigrateSetMaxDowntime(domain.pointer, milliseconds, 0) == 0, isKnown else { return nil }
        return former
    }
}
