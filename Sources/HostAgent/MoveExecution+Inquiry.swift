// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Hypervisor

/// Checks this host's copy of a VM after a move with an unknown outcome, and corrects it.
extension MoveExecution {
    /// Returns the state of the VM on this host.
    func look(for vm: VMID) async -> CopyObservation {
        do { return .seen(try await hypervisor.presence(of: vm)) } catch { return .silent(error.detail) }
    }

    /// Returns the state of the VM on this host for another host's question, and whether the VM is defined here; `nil` if it
    /// is absent.
    ///
    /// If that is unknown, it counts as not defined: the asker then keeps its own definition and asks again. Without an
    /// answer, it could resume its copy.
    func locate(_ vm: VMID) async -> (CopyObservation, isPersistent: Bool?) {
        let observation = await look(for: vm)
        guard case .seen(let presence) = observation, presence != .absent else { return (observation, nil) }
        // A VM that is off exists only by its definition.
        if presence == .inactive { return (observation, true) }
        return (observation, (try? await hypervisor.isPersistent(vm)) ?? false)
    }

    /// Carries out an action of an order that was issued at `begun`.
    func apply(_ action: CopyAction, to vm: VMID, since begun: Instant) async -> CopyAction.Result {
        do {
            switch action {
            case .discard: try await hypervisor.discardHandedOver(vm)
            case .withdraw:
                guard try await hypervisor.presence(of: vm) == .inactive else { return .notSo("it is not off here") }
                try await hypervisor.discardHandedOver(vm)
            case .resume: try await hypervisor.resume(vm)
            case .start:
                guard try await hypervisor.presence(of: vm) == .inactive else { return .notSo("it is not off") }
                guard let booted = HostClock.bootTime(), booted > begun else { return .notSo("it was shut off") }
                try await hypervisor.start(vm)
            case .pause: return try await pause(vm)
            }
            return .done
        } catch  where action == .discard && error.kind == .noSuchVM {
            // Nothing was left, which is the usual case.
            return .done
        } catch {
            return error.kind == .refused ? .refused(error.detail) : .failed(error.description)
        }
    }

    /// Pauses a second copy, which must not start again when this host boots.
    private func pause(_ vm: VMID) async throws(HypervisorError) -> CopyAction.Result {
        switch try await hypervisor.presence(of: vm) {
        case .running: do { try await hypervisor.suspend(vm) } catch { return .refused(error.description) }
        case .paused: break
        // The target was asked after this host: the VM may have left since, or be on its way.
        case .pausedByMigration, .migratingOut, .inactive, .absent: return .notSo("it is changing hosts")
        }
        do { try await hypervisor.setAutostart(of: vm, to: false) } catch {
            // A transient VM has no such setting.
            guard error.kind == .refused else { throw error }
        }
        return .done
    }
}
