// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Hypervisor
internal import Synchronization

/// The hypervisor of one host of an `InMemoryWorld`.
public struct InMemoryHypervisor: Hypervisor {
    let world: InMemoryWorld
    let host: HostName

    public func facts() async throws(HypervisorError) -> HypervisorFacts { try ask("read the facts").facts }

    public func domains() async throws(HypervisorError) -> [DomainStatus] {
        _ = try ask("list the VMs")
        return copies().values.map { copy in
            DomainStatus(
                id: copy.needs.id,
                name: copy.needs.name,
                state: copy.presence.state,
                cpuTimeNanoseconds: copy.presence == .inactive ? nil : copy.cpuTimeNanoseconds,
                vcpus: copy.needs.vcpus,
                memoryBytes: copy.needs.memoryBytes,
                definition: copy.needs.definition
            )
        }.sorted { $0.id < $1.id }
    }

    public func definitions() async throws(HypervisorError) -> PersistentDefinitions {
        let unreadable = try ask("read the definitions").unreadableDefinitions
        let persistent = copies().values.filter { !$0.isTransient }.sorted { $0.needs.id < $1.needs.id }
        return PersistentDefinitions(
            persistent.filter { !unreadable.contains($0.needs.id) }.map { copy in
                VMDefinition(
                    id: copy.needs.id,
                    name: copy.needs.name,
                    xml: "<domain><name>\(copy.needs.name)</name><vcpu>\(copy.needs.vcpus)</vcpu></domain>",
                    digest: copy.needs.definition,
                    startsWithHost: copy.startsWithHost
                )
            },
            unreadable: persistent.filter { unreadable.contains($0.needs.id) }.map { copy in
                PersistentDefinitions.Unreadable(id: copy.needs.id, name: copy.needs.name, reason: "no such file")
            }
        )
    }

    public func presence(of vm: VMID) async throws(HypervisorError) -> DomainPresence {
        _ = try ask("find VM \(vm)")
        return copies()[vm]?.presence ?? .absent
    }

    public func isPersistent(_ vm: VMID) async throws(HypervisorError) -> Bool {
        let attempt = "find out whether VM \(vm) is defined"
        _ = try ask(attempt)
        guard let copy = copies()[vm] else {
            throw HypervisorError(.noSuchVM, attempt: attempt, detail: "it is not on \(host)")
        }
        return !copy.isTransient
    }

    public func migrationBlockers(of vm: VMID) async throws(HypervisorError) -> [PreflightFailure.HypervisorReason] {
        try ask("check whether VM \(vm) can move").blockers[vm] ?? []
    }

    public func requirements(of vm: VMID) async throws(HypervisorError) -> VMRequirements {
        let attempt = "read the requirements of VM \(vm)"
        _ = try ask(attempt)
        guard let copy = copies()[vm] else {
            throw HypervisorError(.noSuchVM, attempt: attempt, detail: "it is not on \(host)")
        }
        guard copy.presence == .running || copy.presence == .migratingOut else {
            throw HypervisorError(.refused, attempt: attempt, detail: "its state is not running but \(copy.presence)")
        }
        var needs = copy.needs
        needs.startsWithHost = copy.startsWithHost
        return needs
    }

    public func offlineRequirements(of vm: VMID) async throws(HypervisorError) -> OfflineRequirements {
        let attempt = "read the requirements of VM \(vm)"
        let here = try ask(attempt)
        guard let copy = copies()[vm] else {
            throw HypervisorError(.noSuchVM, attempt: attempt, detail: "it is not on \(host)")
        }
        guard copy.presence == .inactive else {
            throw HypervisorError(.refused, attempt: attempt, detail: "it is not off but \(copy.presence)")
        }
        var needs = copy.needs
        needs.startsWithHost = copy.startsWithHost
        return OfflineRequirements(needs, blockers: here.blockers[vm] ?? [])
    }

    public func unmet(
        _ requirements: VMRequirements,
        on host: HostName
    ) async throws(HypervisorError) -> [PreflightFailure] {
        let here = try ask("check the requirements of VM \(requirements.id)")
        var found = here.unmet
        func fail(_ check: PreflightFailure.Check, _ reason: String) {
            found.append(PreflightFailure(check: check, host: host, reason: .other(reason)))
        }
        if here.facts.type != requirements.hypervisor.type { fail(.hypervisor, "it is \(here.facts.type)") }
        if here.facts.version < requirements.hypervisor.version { fail(.version, "it is older than the source's") }
        for case .network(let name) in requirements.networks where !here.networks.contains(name) {
            fail(.network, "network '\(name)' is not there")
        }
        for copy in copies().values {
            let isSame = copy.needs.id == requirements.id
            if isSame { fail(.uuid, "it is already \(copy.presence == .inactive ? "defined" : "active") here") }
            if !isSame, copy.needs.name == requirements.name { fail(.name, "\(copy.needs.id) has its name") }
        }
        return found
    }

    public func migrate(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome {
        _ = try ask("migrate VM \(request.vm) to \(request.peerURI)")
        if request.isOffline { return try world.migrateOffline(request, from: host) }
        return try await world.migrate(request, from: host, progress: progress)
    }

    public func cancelMigration(of vm: VMID) async throws(HypervisorError) {
        let attempt = "cancel the migration of VM \(vm)"
        _ = try ask(attempt)
        guard world.state.withLock({ $0.moves[vm]?.source }) == host else {
            throw HypervisorError(.refused, attempt: attempt, detail: "no migration of it is running here")
        }
        world.signal(vm, .cancel)
    }

    public func resume(_ vm: VMID) async throws(HypervisorError) {
        let attempt = "resume VM \(vm)"
        _ = try ask(attempt)
        guard copies()[vm]?.isTransient != true else {
            let detail = "it is transient, so it is unknown whether it has run elsewhere; check and resume it manually"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
        let elsewhere = world.hostsThatRunOrRan(vm)
        let violation = elsewhere.isEmpty ? nil : "it runs, or has run since, on \(elsewhere)"
        try change(vm, attempt, in: [.pausedByMigration], violation: violation) { state in
            state.copies[host]?[vm]?.presence = .running
        }
    }

    public func startRestored(_ vm: VMID) async throws(HypervisorError) {
        let attempt = "start the restored VM \(vm)"
        _ = try ask(attempt)
        let elsewhere = world.hostsThatRunOrRan(vm)
        let violation = elsewhere.isEmpty ? nil : "it runs, or has run since, on \(elsewhere)"
        try change(vm, attempt, in: [.pausedByMigration], violation: violation) { state in
            state.copies[host]?[vm]?.presence = .running
        }
    }

    public func suspend(_ vm: VMID) async throws(HypervisorError) {
        let attempt = "suspend VM \(vm)"
        _ = try ask(attempt)
        try change(vm, attempt, in: [.running], violation: nil) { state in
            state.copies[host]?[vm]?.presence = .paused
        }
    }

    public func setAutostart(of vm: VMID, to isOn: Bool) async throws(HypervisorError) {
        let attempt = "set VM \(vm) to start with \(host)"
        _ = try ask(attempt)
        guard copies()[vm] != nil else {
            throw HypervisorError(.noSuchVM, attempt: attempt, detail: "it is not on \(host)")
        }
        world.state.withLock { $0.copies[host]?[vm]?.startsWithHost = isOn }
    }

    public func start(_ vm: VMID) async throws(HypervisorError) {
        let attempt = "start VM \(vm)"
        _ = try ask(attempt)
        let violation = world.isTaken(vm, elsewhereThan: host) ? "another host has it" : nil
        try change(vm, attempt, in: [.inactive], violation: violation) { state in
            state.copies[host]?[vm]?.presence = .running
        }
    }

    public func discardHandedOver(_ vm: VMID) async throws(HypervisorError) {
        let attempt = "discard the handed-over copy of VM \(vm)"
        _ = try ask(attempt)
        // One of two definitions may go: neither has memory.
        let isDouble = copies()[vm]?.presence == .inactive && world.isOff(vm, elsewhereThan: host)
        let violation = isDouble || world.isTaken(vm, elsewhereThan: host) ? nil : "no other host has it"
        try change(vm, attempt, in: [.pausedByMigration, .inactive], violation: violation) { state in
            state.copies[host]?[vm] = nil
        }
    }

    /// Returns the host; throws if its hypervisor does not answer.
    func ask(_ attempt: String) throws(HypervisorError) -> InMemoryHost {
        guard let here = world.state.withLock({ $0.hosts[host] }), here.answers else {
            throw HypervisorError(.notConnected, attempt: attempt, detail: "\(host) does not answer")
        }
        return here
    }

    private func copies() -> [VMID: InMemoryWorld.Copy] { world.state.withLock { $0.copies[host] ?? [:] } }

    /// Changes a VM that is in one of the states and has no migration under way.
    private func change(
        _ vm: VMID,
        _ attempt: String,
        in states: [DomainPresence],
        violation: String?,
        _ change: (inout InMemoryWorld.State) -> Void
    ) throws(HypervisorError) {
        try world.state.withLock { state throws(HypervisorError) in
            guard let copy = state.copies[host]?[vm] else {
                throw HypervisorError(.noSuchVM, attempt: attempt, detail: "it is not on \(host)")
            }
            guard states.contains(copy.presence), state.moves[vm] == nil else {
                let detail = "it is not paused by a migration that is over, but \(copy.presence)"
                throw HypervisorError(.refused, attempt: attempt, detail: detail)
            }
            if let violation {
                state.violations.append("\(attempt) on \(host): \(violation)")
                throw HypervisorError(.refused, attempt: attempt, detail: violation)
            }
            change(&state)
        }
    }
}

extension DomainPresence {
    fileprivate var state: VMState {
        switch self {
        case .absent, .inactive: .shutOff
        case .running, .migratingOut: .running
        case .pausedByMigration: .migrating
        case .paused: .paused
        }
    }
}
