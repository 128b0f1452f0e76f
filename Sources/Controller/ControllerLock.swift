// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// The right to be the only controller on a ledger, released at the latest when the process ends.
public struct ControllerLock: ~Copyable {
    private let lock: ProcessLock

    /// Throws a `ProcessLock.Failure` if another controller uses the ledger.
    ///
    /// Read the ledger first: below a mount point without its storage, the lock would exclude no other controller.
    public init(ledger folder: String) throws {
        lock = try ProcessLock(path: "\(folder)/controller.lock", purpose: "controller on this ledger")
    }
}
