// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Hypervisor

/// One error as libvirt reports it, with the numbers that survive translation of the text.
struct LibvirtError: Error, Equatable {
    /// The part of libvirt that raised it (`virErrorDomain`).
    var domain: Int32
    /// What it was (`virErrorNumber`).
    var code: Int32
    var message: String

    /// The last error of this thread.
    ///
    /// libvirt keeps one error per thread: call it right after the failed call, on the same thread.
    static func last(in function: String) -> Self {
        guard let error = virGetLastError() else {
            return Self(domain: 0, code: 0, message: "\(function) failed and libvirt gave no reason")
        }
        let message = error.pointee.message.map { String(cString: $0) } ?? "\(function) failed without a message"
        return Self(domain: error.pointee.domain, code: error.pointee.code, message: message)
    }

    func `is`(_ number: virErrorNumber) -> Bool { code == Int32(number.rawValue) }

    /// This hypervisor's driver does not have the call, or not for this kind of domain.
    var isUnsupported: Bool {
        self.is(VIR_ERR_NO_SUPPORT) || self.is(VIR_ERR_OPERATION_UNSUPPORTED) || self.is(VIR_ERR_CONFIG_UNSUPPORTED)
            || self.is(VIR_ERR_ARGUMENT_UNSUPPORTED)
    }

    /// libvirt's words with its numbers, to be looked up in `virterror.h`.
    var detail: String { "\(message) (libvirt error \(code), domain \(domain))" }

    /// The kind a caller acts upon; a dead connection is recognised by the caller, who has the connection.
    var kind: HypervisorError.Kind {
        if self.is(VIR_ERR_NO_DOMAIN) { return .noSuchVM }
        if self.is(VIR_ERR_OPERATION_ABORTED) { return .cancelled }
        if self.is(VIR_ERR_OPERATION_TIMEOUT) { return .timedOut }
        let refusals = [
            VIR_ERR_MIGRATE_UNSAFE, VIR_ERR_OPERATION_INVALID, VIR_ERR_OPERATION_DENIED, VIR_ERR_ACCESS_DENIED,
            VIR_ERR_CONFIG_UNSUPPORTED, VIR_ERR_ARGUMENT_UNSUPPORTED, VIR_ERR_OPERATION_UNSUPPORTED, VIR_ERR_NO_SUPPORT,
            VIR_ERR_CPU_INCOMPATIBLE,
        ]
        return refusals.contains { self.is($0) } ? .refused : .failed
    }
}

extension HypervisorError {
    /// The driver's error for one of libvirt's.
    init(_ error: LibvirtError, attempt: String) {
        self.init(error.kind, attempt: attempt, detail: error.detail)
    }
}
