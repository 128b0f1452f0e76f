// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Hypervisor
import Logging

/// Sets VMs to start with this host after a move.
extension AgentService {
    /// libvirt's folder of definitions and of autostart links.
    private static let definitions = "/etc/libvirt"

    /// Sets the order's VM to start with this host; returns why that is not possible yet.
    func startWithHost(_ order: MigrationOrder, since begun: Instant) async -> String? {
        do {
            if let journal, try await noted(.autostart, order, in: journal) { return nil }
            do throws(HypervisorError) {
                try await hypervisor.setAutostart(of: order.vm, to: true)
                if try await hypervisor.presence(of: order.vm) == .inactive, let booted = Self.bootTime(),
                    booted > begun
                {
                    try await hypervisor.start(order.vm)
                    logger.notice("started \(order.vmName): this host has booted during order \(order.id)")
                }
            } catch {
                // It has left this host since.
                guard error.kind == .noSuchVM else { return "\(error)" }
            }
            await syncDefinitions()
            guard let journal else { return nil }
            _ = try await Blocking.onStorage(within: .seconds(10), "writing a journal entry") {
                try journal.claim(.autostart, of: order, at: .now)
            }
            return nil
        } catch { return "\(error)" }
    }

    /// Returns when this host was started; `nil` if the kernel does not say.
    private static func bootTime() -> Instant? {
        let seconds = (try? readTable("/proc/stat"))?["btime"]
        return seconds.map { Instant(milliseconds: Int64(min($0, 1 << 40)) * 1000) }
    }

    private func noted(
        _ step: OrderJournal.Step,
        _ order: MigrationOrder,
        in journal: OrderJournal
    ) async throws -> Bool {
        try await Blocking.onStorage(within: .seconds(10), "reading the journal") {
            try journal.entry(step, of: order) == .present
        }
    }

    /// Makes libvirt's definitions durable: libvirt does not, and a power cut would bring back those that it removed.
    func syncDefinitions() async {
        guard exists(Self.definitions) else { return }
        do { try await Command("sync", ["--file-system", Self.definitions], timeLimit: .seconds(20)).run() } catch {
            logger.warning("cannot sync libvirt's definitions", metadata: ["reason": "\(error)"])
        }
    }
}
