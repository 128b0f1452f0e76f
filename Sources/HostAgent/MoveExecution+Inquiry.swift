// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Hypervisor
import Settings

/// Checks where a VM runs after a move with an unknown outcome, and corrects this host's copy.
extension MoveExecution {
    /// Returns the state of the order's VM here and then, queried after that, at the target.
    func look(for order: MigrationOrder) async -> CopyObservation {
        let here = await standing { try await hypervisor.presence(of: order.vm) }
        // The target need not be asked, and may not answer while it receives the VM.
        guard here != .seen(.migratingOut) else { return CopyObservation(here: here, there: .silent("not asked")) }
        if order.target == host { return CopyObservation(here: here, there: .silent("this host is the target")) }
        guard let target = settings.inventory[order.target] else {
            return CopyObservation(here: here, there: .notConfigured)
        }
        let there = await standing { try await hypervisor.presence(of: order.vm, atPeer: target.libvirtURI) }
        var observation = CopyObservation(here: here, there: there)
        if here == .seen(.pausedByMigration), there == .seen(.absent) {
            observation.elsewhere = await elsewhere(order)
        }
        return observation
    }

    private func standing(_ ask: () async throws -> DomainPresence) async -> CopyObservation.State {
        do { return .seen(try await ask()) } catch { return .silent((error as? HypervisorError)?.detail ?? "\(error)") }
    }

    /// Returns a host, neither source nor target, that knows the VM: an operator may have moved it on manually.
    private func elsewhere(_ order: MigrationOrder) async -> CopyObservation.Elsewhere {
        for other in settings.inventory.hosts where other.name != host && other.name != order.target {
            do {
                if try await hypervisor.presence(of: order.vm, atPeer: other.libvirtURI) != .absent {
                    return .on(other.name)
                }
            } catch { return .unknown("\(other.name) did not answer (\(error.detail))") }
        }
        return .nowhere
    }

    func apply(_ action: CopyAction, to vm: VMID) async -> CopyAction.Result {
        do {
            switch action {
            case .discard: try await hypervisor.discardHandedOver(vm)
            case .resume: try await hypervisor.resume(vm)
            case .pause:
                // The target was asked after this host: the VM may have left since, or be on its way.
                guard try await hypervisor.presence(of: vm) == .running else { return .notSo("it is changing hosts") }
                do { try await hypervisor.suspend(vm) } catch { return .refused(error.description) }
            }
            return .done
        } catch  where action == .discard && error.kind == .noSuchVM {
            // Nothing was left, which is the usual case.
            return .done
        } catch {
            return error.kind == .refused ? .refused(error.detail) : .failed(error.description)
        }
    }
}
