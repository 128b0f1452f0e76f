// SPDX-License-Identifier: Apache-2.0
import HostOS
import Logging

extension Logger {
    /// Logs each new reason of a failure that lasts, and its end.
    func log(_ change: LastingFailure.Change?, at level: Level = .error, _ failed: String, ended: String) {
        switch change {
        case .began(let reason): log(level: level, "\(failed)", metadata: ["reason": "\(reason)"])
        case .ended: notice("\(ended)")
        case nil: break
        }
    }
}
