// SPDX-License-Identifier: Apache-2.0
import Fleet

extension NoChannel: CustomStringConvertible {
    public var description: String {
        let leaks =
            closed.isEmpty
            ? ""
            : "; closed between them by a leak: \(Self.names(closed)) "
                + "(find the cause, then 'evenkeel clear \(path.source) \(path.target)')"
        return
            "no channel from \(path.source) to \(path.target): policy.channels allows \(Self.names(allowed)); of these "
            + "\(path.source) offers \(Self.names(ofSource)), \(path.target) offers \(Self.names(ofTarget))\(leaks)"
    }

    private static func names(_ channels: [Channel]) -> String {
        channels.isEmpty ? "none" : channels.map(\.rawValue).joined(separator: ", ")
    }
}
