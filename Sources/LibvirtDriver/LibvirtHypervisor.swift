// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet
public import Hypervisor
internal import Synchronization

/// A host's hypervisor through libvirt's C API: QEMU/KVM, and Xen through the same calls.
///
/// Calls block on their own threads and have time limits. The connection opens on first use and again after a restart
/// of libvirtd. Samples, reading, checking, changing and each move have their own connection, so that one kind of call that hangs
/// does not stop the others.
public final class LibvirtHypervisor: Hypervisor {
    /// Time limits of the driver.
    ///
    /// A migration returns at the latest after its own time limit plus `abort`, `settle` and `peer`, give or take a few
    /// seconds.
    public struct Limits: Sendable {
        /// Limit of one call that only reads or changes state.
        public var call: Duration = .seconds(35)
        /// Limit of one query to the target of a migration: connection, login and one call; an ssh login to a slow host takes
        /// over 10 s.
        public var peer: Duration = .hangLimit
        /// Limit from the request to stop a migration until its call returns.
        ///
        /// libvirtd may be in a TCP connect to the target, which the kernel abandons after about 130 seconds.
        public var abort: Duration = .seconds(150)
        /// Limit of finding out where the VM runs after a failed migration; covers a restart of libvirtd.
        public var settle: Duration = .seconds(45)
        public init() {}
    }

    let limits: Limits
    let connector: Connector
    /// Calls about the whole host.
    let sampling: BlockingCalls
    /// Calls that read the state of one VM.
    let reading: BlockingCalls
    let changing: BlockingCalls
    /// Checks of what keeps a VM here, which wait for a VM that does not answer: they must not delay an order.
    let checking: BlockingCalls
    /// The long calls of migrations, saves and restores.
    let moving = CallSlots(64)
    let peers = PeerCalls()
    /// The migrations of this process.
    let runs = Mutex<[VMID: LiveMigration]>([:])
    /// The VMs that this process is saving or restoring.
    let saves = Mutex<Set<VMID>>([])

    public init(uri: String, limits: Limits = Limits()) {
        self.limits = limits
        connector = Connector(uri: uri)
        reading = BlockingCalls(connector: connector, limit: limits.call)
        // The test driver has no daemon, and its hosts belong to one connection.
        let isShared = uri.hasPrefix("test:")
        sampling = BlockingCalls(connector: isShared ? connector : Connector(uri: uri), limit: limits.call)
        checking = BlockingCalls(connector: isShared ? connector : Connector(uri: uri), limit: limits.call)
        changing = BlockingCalls(connector: isShared ? connector : Connector(uri: uri), limit: limits.call)
    }

    public func facts() async throws(HypervisorError) -> HypervisorFacts {
        try await sampling.run("read the facts of \(connector.uri)") { try $0.facts() }
    }

    public func domains() async throws(HypervisorError) -> [DomainStatus] {
        try await sampling.run("list the VMs of \(connector.uri)") { try $0.domains() }
    }

    public func presence(of vm: VMID) async throws(HypervisorError) -> DomainPresence {
        try await reading.run("find VM \(vm) on \(connector.uri)") { try $0.presence(of: vm) }
    }

    public func isPersistent(_ vm: VMID) async throws(HypervisorError) -> Bool {
        try await reading.run("find out whether VM \(vm) is defined on \(connector.uri)") { try $0.isPersistent(vm) }
    }

    public func migrationBlockers(of vm: VMID) async throws(HypervisorError) -> [PreflightFailure.HypervisorReason] {
        try await checking.run("check whether VM \(vm) can move") { try $0.migrationBlockers(of: vm) }
    }

    /// Returns the VM's requirements; throws `.refused` if the VM is not running.
    public func requirements(of vm: VMID) async throws(HypervisorError) -> VMRequirements {
        try await reading.run("read what VM \(vm) needs") { try $0.requirements(of: vm) }
    }

    public func offlineRequirements(of vm: VMID) async throws(HypervisorError) -> OfflineRequirements {
        try await reading.run("read what VM \(vm) needs") { try $0.offlineRequirements(of: vm) }
    }

    public func unmet(
        _ requirements: VMRequirements,
        on host: HostName
    ) async throws(HypervisorError) -> [PreflightFailure] {
        try await reading.run("check what VM \(requirements.name) needs on \(host)") { connection in
            try Preflight(requirements: requirements, host: host, connection: connection).failures()
        }
    }

    public func cancelMigration(of vm: VMID) async throws(HypervisorError) {
        // The supervisor of a migration in this process cancels it and retries until the call returns.
        if let run = runs.withLock({ $0[vm] }) {
            run.cancel()
            return
        }
        try await changing.run("cancel the migration of VM \(vm)") { try $0.abortMigration(of: vm) }
    }

    public func resume(_ vm: VMID) async throws(HypervisorError) {
        try await changing.run("resume VM \(vm)") { try $0.resume(vm) }
    }

    public func startRestored(_ vm: VMID) async throws(HypervisorError) {
        try await changing.run("start the restored VM \(vm)") { try $0.startRestored(vm) }
    }

    public func suspend(_ vm: VMID) async throws(HypervisorError) {
        try await changing.run("suspend VM \(vm)") { try $0.suspend(vm) }
    }

    public func setAutostart(of vm: VMID, to isOn: Bool) async throws(HypervisorError) {
        try await changing.run("set whether VM \(vm) starts with its host") { try $0.setAutostart(of: vm, to: isOn) }
    }

    public func start(_ vm: VMID) async throws(HypervisorError) {
        try await changing.run("start VM \(vm)") { try $0.start(vm) }
    }

    public func discardHandedOver(_ vm: VMID) async throws(HypervisorError) {
        try await changing.run("discard the handed-over copy of VM \(vm)") { try $0.discardHandedOver(vm) }
    }
}
