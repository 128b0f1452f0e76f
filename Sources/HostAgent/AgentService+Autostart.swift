// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Hypervisor
import Logging

/// Changes the definitions of VMs around a move: whether they start with this host, and leftovers of offline moves.
extension AgentService {
    /// libvirt's folder of definitions and of autostart links.
    private static let definitions = "/etc/libvirt"

    /// Sets the order's VM to start with this host; returns why that is not possible yet.
    func startWithHost(_ order: MigrationOrder) async -> String? {
        do {
            if let autostartJournal, try await autostartJournal.contains(.autostart, of: order) { return nil }
            // While only the journal fails, an operator's later change must hold.
            if await !waits.hasSetAutostart(of: order.id) {
                do { try await hypervisor.setAutostart(of: order.vm, to: true) } catch {
                    // It has left this host since.
                    guard error.kind == .noSuchVM else { return "\(error)" }
                }
                if let failure = await syncDefinitions() { return failure }
                if autostartJournal != nil { await waits.noteAutostart(of: order.id) }
            }
            guard let autostartJournal else { return nil }
            _ = try await autostartJournal.record(.autostart, of: order)
            await waits.forgetAutostart(of: order.id)
            return nil
        } catch { return "\(error)" }
    }

    /// Prevents that a VM starts with this host while it moves away; returns the failure if that is impossible.
    ///
    /// A host that reboots at the end of the move must not start a second instance.
    func stopStartingWithHost(_ order: MigrationOrder) async -> OrderFailure? {
        do {
            try await hypervisor.setAutostart(of: order.vm, to: false)
            guard let failure = await syncDefinitions() else { return nil }
            return OrderFailure(.migration, .move(.hypervisor(detail: failure)), .at(host))
        } catch {
            return OrderFailure(.migration, .move(.hypervisor(detail: error.description)), .at(host))
        }
    }

    /// Removes the definition that a failed offline move left here, once: an operator may move the VM here later.
    func withdraw(_ order: MigrationOrder) async -> CopyAction.Result {
        do {
            guard let journal else { return await execution.apply(.withdraw, to: order.vm, since: order.issuedAt) }
            // Before it: a definition that is left over does less harm than one that is removed twice.
            guard try await journal.record(.begun, of: order) else {
                guard try await hypervisor.presence(of: order.vm) == .inactive else {
                    return .notSo("it was removed before")
                }
                // This host may have been stopped between the entry and the removal; or an operator has moved the VM here.
                return .refused("it was to be removed before, and is here again or still")
            }
            let result = await execution.apply(.withdraw, to: order.vm, since: order.issuedAt)
            if result != .done { try await journal.erase(.begun, of: order) }
            return result
        } catch { return .failed("\(error)") }
    }

    /// Makes libvirt's definitions and autostart links durable with `syncfs`, after each change; returns the failure.
    ///
    /// libvirt does not, and a power cut would bring back what it removed.
    @discardableResult
    func syncDefinitions() async -> String? {
        guard exists(Self.definitions) else { return nil }
        var failure: String?
        do { try await Command("sync", ["--file-system", Self.definitions], timeLimit: .hangLimit).run() } catch {
            failure = "\(error)"
        }
        logger.log(
            definitionSync.take(failure),
            at: .warning,
            "cannot sync libvirt's definitions",
            ended: "libvirt's definitions can be synced again"
        )
        return failure.map { "cannot sync \(Self.definitions): \($0)" }
    }
}
