// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Hypervisor

/// An error as libvirt reports it; its numbers stay the same when the message is translated.
struct LibvirtError: Error, Equatable {
    /// The part of libvirt that raised the error (`virErrorDomain`).
    var domain: Int32
    /// The error number (`virErrorNumber`).
    var code: Int32
    var message: String

    /// Returns the last error of this thread.
    ///
    /// libvirt keeps one error per thread: call this right after the failed call, on the same thread.
    static func last(in function: String) -> Self {
        guard let error = virGetLastError() else {
            return Self(domain: 0, code: 0, message: "\(function) failed and libvirt gave no reason")
        }
        let message = error.pointee.message.map { String(cString: $0) } ?? "\(function) failed without a message"
        return Self(domain: error.pointee.domain, code: error.pointee.code, message: message)
    }

    func `is`(_ number: virErrorNumber) -> Bool { code == Int32(number.rawValue) }

    /// Whether this hypervisor's driver lacks the call, or lacks it for this kind of domain.
    var isUnsupported: Bool {
        self.is(VIR_ERR_NO_SUPPORT) || self.is(VIR_ERR_OPERATION_UNSUPPORTED) || self.is(VIR_ERR_CONFIG_UNSUPPORTED)
            || self.is(VIR_ERR_ARGUMENT_UNSUPPORTED)
    }

    /// libvirt's message with its numbers, which `virterror.h` explains.
    var detail: String { "\(message) (libvirt error \(code), domain \(domain))" }

    /// The kind of error for callers.
    ///
    /// A dead connection is not among them: only the owner of the connection can detect it.
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
    /// Converts a libvirt error.
    init(_ error: LibvirtError, attempt: String) {
        self.init(error.kind, attempt: attempt, detail: error.detail)
    }
}
