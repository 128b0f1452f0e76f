// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization
internal import LibvirtXML

/// An open connection, closed when its last user releases it.
final class Connection: Sendable {
    let handle: ConnectionHandle
    /// libvirt's driver name in lower case, such as `qemu`, `xen`, `test`.
    let type: String
    /// The `<cpu>` element of the host's capabilities.
    let parsedHostCPU = ParsedTexts<String, XMLTree?>()
    let digests = ParsedTexts<VMID, String?>()
    /// The digests of persistent definitions.
    let definitionDigests = ParsedTexts<VMID, String?>()

    init(opening uri: String) throws(LibvirtError) {
        handle = try ConnectionHandle(opening: uri)
        type = virConnectGetType(handle.pointer).map { String(cString: $0).lowercased() } ?? "unknown"
        // A hung daemon or a lost peer must not block a call forever: after about 20 s without an answer (5 s interval,
        // 3 probes) libvirt closes the connection. Local drivers refuse keepalive and do not need it.
        virConnectSetKeepAlive(handle.pointer, 5, 3)
    }

    var isAlive: Bool { virConnectIsAlive(handle.pointer) == 1 }
}

/// Opens the connection to the configured hypervisor on first use, and again after it was lost.
final class Connector: Sendable {
    let uri: String
    private let current = Mutex<Connection?>(nil)
    /// Held while opening: callers wait for one attempt instead of starting many against a hung daemon.
    private let opening = NSLock()
    private let openLimit: Double = 15

    init(uri: String) { self.uri = uri }

    /// Runs blocking calls on an open connection.
    ///
    /// If a call fails and the connection is dead, the next call opens a new one.
    func use<R>(_ attempt: String, _ body: (Connection) throws -> R) throws(HypervisorError) -> R {
        let connection = try open(attempt)
        do {
            return try body(connection)
        } catch let error as HypervisorError {
            throw error
        } catch let error as LibvirtError {
            guard connection.isAlive else {
                drop(connection)
                throw HypervisorError(
                    .notConnected,
                    attempt: attempt,
                    detail: "the connection to \(uri) broke: \(error.detail); is libvirtd running?"
                )
            }
            throw HypervisorError(error, attempt: attempt)
        } catch {
            throw HypervisorError(.failed, attempt: attempt, detail: "\(error)")
        }
    }

    private func open(_ attempt: String) throws(HypervisorError) -> Connection {
        if let connection = live() { return connection }
        guard opening.lock(before: Date(timeIntervalSinceNow: openLimit)) else {
            let detail = "opening \(uri) has not ended for \(Int(openLimit)) s; is libvirtd stuck?"
            throw HypervisorError(.notConnected, attempt: attempt, detail: detail)
        }
        defer { opening.unlock() }
        if let connection = live() { return connection }
        do {
            let connection = try Connection(opening: uri)
            current.withLock { $0 = connection }
            return connection
        } catch {
            let detail = "no connection to \(uri): \(error.detail); is libvirtd running?"
            throw HypervisorError(.notConnected, attempt: attempt, detail: detail)
        }
    }

    private func live() -> Connection? {
        guard let connection = current.withLock({ $0 }) else { return nil }
        if connection.isAlive { return connection }
        drop(connection)
        return nil
    }

    private func drop(_ dead: Connection) {
        // The connection closes outside the lock, when the last call that uses it has returned.
        current.withLock { if $0 === dead { $0 = nil } }
    }
}
