// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
public import Fleet
public import Hypervisor
internal import Synchronization

/// A host's hypervisor through libvirt's C API: QEMU/KVM, and Xen through the same calls.
///
/// Calls block on their own threads and have time limits. The connection opens on first use and again after a restart
/// of libvirtd. Each migration has a second connection of its own. Otherwise the daemon's limit of requests per client
/// (5 by default) could make a cancel or a sample wait for a migration.
public final class LibvirtHypervisor: Hypervisor {
    /// Time limits of the driver.
    ///
    /// A migration returns at the latest after its own time limit plus `abort`, `settle` and three times `peer`, give
    /// or take a few seconds.
    public struct Limits: Sendable {
        /// Limit of one call that only reads or changes state.
        public var call: Duration = .seconds(35)
        /// Limit of one query to a peer: connection, login and one call.
        public var peer: Duration = .seconds(10)
        /// Limit from the request to stop a migration until its call returns.
        ///
        /// libvirtd may be in a TCP connect to the target, which the kernel abandons after about 130 seconds.
        public var abort: Duration = .seconds(150)
        /// Limit of finding out where the VM runs after a failed migration; covers a restart of libvirtd.
        public var settle: Duration = .seconds(45)
        public init() {}
    }

    let connector: Connector
    let limits: Limits
    /// The migrations of this process.
    let runs = Mutex<[VMID: LiveMigration]>([:])
    /// The VMs that this process is saving or restoring.
    let saves = Mutex<Set<VMID>>([])

    public init(uri: String, limits: Limits = Limits()) {
        connector = Connector(uri: uri)
        self.limits = limits
    }

    /// Runs blocking calls on the connection, outside the cooperative pool, within the limit of one call.
    func perform<R: Sendable>(
        _ attempt: String,
        _ body: @Sendable @escaping (Connection) throws -> R
    ) async throws(HypervisorError) -> R {
        let connector = connector
        return try await BlockingCall.run(attempt, limit: limits.call) { () throws(HypervisorError) -> R in
            try connector.use(attempt, body)
        }
    }

    public func facts() async throws(HypervisorError) -> HypervisorFacts {
        try await perform("read the facts of \(connector.uri)") { try $0.facts() }
    }

    public func domains() async throws(HypervisorError) -> [DomainStatus] {
        try await perform("list the VMs of \(connector.uri)") { try $0.domains(withDigests: true) }
    }

    public func presence(of vm: VMID) async throws(HypervisorError) -> DomainPresence {
        try await perform("find VM \(vm) on \(connector.uri)") { try $0.presence(of: vm) }
    }

    /// Returns the VM's requirements; throws `.refused` if the VM is not running or a disk's cache makes a move unsafe.
    ///
    /// The order then ends at the source before anything is prepared.
    public func requirements(of vm: VMID) async throws(HypervisorError) -> VMRequirements {
        try await perform("read what VM \(vm) needs") { try $0.requirements(of: vm) }
    }

    public func unmet(
        _ requirements: VMRequirements,
        on host: HostName
    ) async throws(HypervisorError) -> [PreflightFailure] {
        try await perform("check what VM \(requirements.name) needs on \(host)") { connection in
            try Preflight(requirements: requirements, host: host, connection: connection).failures()
        }
    }

    public func cancelMigration(of vm: VMID) async throws(HypervisorError) {
        // The supervisor of a migration in this process cancels it and retries until the call returns.
        if let run = runs.withLock({ $0[vm] }) {
            run.cancel()
            return
        }
        try await perform("cancel the migration of VM \(vm)") { try $0.abortMigration(of: vm) }
    }

    public func presence(of vm: VMID, atPeer uri: String) async throws(HypervisorError) -> DomainPresence {
        let attempt = "find VM \(vm) on peer \(uri)"
        return try await BlockingCall.run(attempt, limit: limits.peer) { () throws(HypervisorError) -> DomainPresence in
            do throws(LibvirtError) {
                return try Connection(opening: uri).presence(of: vm)
            } catch {
                throw HypervisorError(.notConnected, attempt: attempt, detail: error.detail)
            }
        }
    }

    public func observation(
        ofPeer uri: String,
        named host: HostName
    ) async throws(HypervisorError) -> PeerObservation {
        let attempt = "observe \(host) at \(uri)"
        return try await BlockingCall.run(attempt, limit: limits.peer) {
            () throws(HypervisorError) -> PeerObservation in
            do throws(LibvirtError) {
                return try Connection(opening: uri, readOnly: true).observation(of: host)
            } catch {
                throw HypervisorError(.notConnected, attempt: attempt, detail: error.detail)
            }
        }
    }

    public func resume(_ vm: VMID) async throws(HypervisorError) {
        try await perform("resume VM \(vm)") { try $0.resume(vm) }
    }

    public func suspend(_ vm: VMID) async throws(HypervisorError) {
        try await perform("suspend VM \(vm)") { try $0.suspend(vm) }
    }

    public func setAutostart(of vm: VMID, to isOn: Bool) async throws(HypervisorError) {
        try await perform("set whether VM \(vm) starts with its host") { try $0.setAutostart(of: vm, to: isOn) }
    }

    public func start(_ vm: VMID) async throws(HypervisorError) {
        try await perform("start VM \(vm)") { try $0.start(vm) }
    }

    public func discardHandedOver(_ vm: VMID) async throws(HypervisorError) {
        try await perform("discard the handed-over copy of VM \(vm)") { try $0.discardHandedOver(vm) }
    }
}
