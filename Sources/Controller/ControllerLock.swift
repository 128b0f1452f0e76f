// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// The right to be the only controller on a ledger, released at the latest when the process ends.
public final class ControllerLock: Sendable {
    private let lock: ProcessLock
    private let call = BackgroundCall()

    /// Whether this process still has the lock.
    public enum Standing: Sendable, Equatable {
        case held
        case lost(reason: String)
        /// The storage does not tell now.
        case unknown(reason: String)
    }

    /// Throws a `ProcessLock.Failure` if another controller uses the ledger.
    ///
    /// Read the ledger first: below a mount point without its storage, the lock would exclude no other controller.
    public init(ledger folder: String) throws {
        lock = try ProcessLock(path: "\(folder)/controller.lock", purpose: "controller on this ledger")
    }

    /// Checks the lock; required before anything is ordered.
    public func check() async -> Standing {
        let answer = await Blocking.run { [self] in
            call.run(within: .hangLimit) { [self] in
                do throws(ProcessLock.Failure) { try lock.check() } catch {
                    if case .lost(_, let reason) = error { return Standing.lost(reason: reason) }
                    return .unknown(reason: "\(error)")
                }
                return .held
            }
        }
        return answer ?? .unknown(reason: "the storage with \(lock.path) does not answer")
    }
}
