// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Glibc

// All C handles import as `OpaquePointer`. Separate types prevent passing a domain where a connection is expected, and
// release each reference exactly once.

/// Owns one reference to a `virConnectPtr`.
///
/// `@unchecked Sendable`: libvirt documents that several threads may use a connection at once, and only `deinit`
/// releases the reference.
struct ConnectionHandle: ~Copyable, @unchecked Sendable {
    let pointer: virConnectPtr

    init(opening uri: String) throws(LibvirtError) {
        EventLoop.ensureRunning()
        guard let pointer = virConnectOpen(uri) else { throw .last(in: "virConnectOpen") }
        self.pointer = pointer
    }

    deinit { virConnectClose(pointer) }
}

/// Owns one reference to a `virDomainPtr`, which in turn holds its connection.
struct DomainHandle: ~Copyable {
    let pointer: virDomainPtr

    /// Takes ownership of a reference that a libvirt call returned.
    init(owning pointer: virDomainPtr) { self.pointer = pointer }

    init(uuid: String, on connection: borrowing ConnectionHandle) throws(LibvirtError) {
        guard let pointer = virDomainLookupByUUIDString(connection.pointer, uuid) else {
            throw .last(in: "virDomainLookupByUUIDString")
        }
        self.pointer = pointer
    }

    init(name: String, on connection: borrowing ConnectionHandle) throws(LibvirtError) {
        guard let pointer = virDomainLookupByName(connection.pointer, name) else {
            throw .last(in: "virDomainLookupByName")
        }
        self.pointer = pointer
    }

    /// Returns whether libvirt keeps the domain's definition when it is off.
    func isPersistent() throws(LibvirtError) -> Bool {
        let answer = virDomainIsPersistent(pointer)
        guard answer >= 0 else { throw .last(in: "virDomainIsPersistent") }
        return answer == 1
    }

    deinit { virDomainFree(pointer) }
}

/// Owns one reference to a `virNetworkPtr`.
struct NetworkHandle: ~Copyable {
    let pointer: virNetworkPtr

    init(name: String, on connection: borrowing ConnectionHandle) throws(LibvirtError) {
        guard let pointer = virNetworkLookupByName(connection.pointer, name) else {
            throw .last(in: "virNetworkLookupByName")
        }
        self.pointer = pointer
    }

    deinit { virNetworkFree(pointer) }
}

/// Copies and frees a string that libvirt allocated for the caller.
func takeString(_ pointer: UnsafeMutablePointer<CChar>?, from function: String) throws(LibvirtError) -> String {
    guard let pointer else { throw .last(in: function) }
    defer { free(pointer) }
    return String(cString: pointer)
}
