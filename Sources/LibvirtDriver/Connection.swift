// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// One open connection, closed when its last user lets go of it.
final class Connection: Sendable {
    let handle: ConnectionHandle
    /// libvirt's driver name in lower case, such as `qemu`, `xen`, `test`.
    let type: String
    /// The `<cpu>` element of the host's capabilities.
    let hostCPU = ParsedTexts<String, XMLTree?>()
    let digests = ParsedTexts<VMID, String?>()

    init(opening uri: String, readOnly: Bool = false) throws(LibvirtError) {
        handle = try ConnectionHandle(opening: uri, readOnly: readOnly)
        type = virConnectGetType(handle.pointer).map { String(cString: $0).lowercased() } ?? "unknown"
        // A daemon that hangs or a peer that is gone must not hold a call forever: after about 20 s without an answer
        // libvirt closes the connection. Local drivers refuse keepalive; they have nobody to lose.
        virConnectSetKeepAlive(handle.pointer, 5, 3)
    }

    var isAlive: Bool { virConnectIsAlive(handle.pointer) == 1 }
}

/// Opens the connection to the configured hypervisor when it is needed, and again after it died.
final class Connector: Sendable {
    let uri: String
    private let current = Mutex<Connection?>(nil)
    /// Held while opening, so that callers wait for one opening instead of starting many against a hung daemon.
    private let opening = NSLock()
    private let openLimit: Double = 15

    init(uri: String) { self.uri = uri }

    /// Runs blocking calls on an open connection; any failure that finds it dead makes the next call open a new one.
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
        // Closed outside the lock, when the last call that uses it has returned.
        current.withLock { if $0 === dead { $0 = nil } }
    }
}
