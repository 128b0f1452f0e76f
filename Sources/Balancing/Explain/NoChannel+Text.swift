// SPDX-License-Identifier: Apache-2.0
import Fleet

extension NoChannel: CustomStringConvertible {
    public var description: String {
        let leaks =
            closed.isEmpty
            ? ""
            : "; closed between them since a move leaked: \(Self.names(closed)) "
                + "('evenkeel clear \(path.source) \(path.target)' once that is looked into)"
        return
            "no channel from \(path.source) to \(path.target): policy.channels allows \(Self.names(allowed)); of these "
            + "\(path.source) has \(Self.names(ofSource)), \(path.target) has \(Self.names(ofTarget))\(leaks)"
    }

    private static func names(_ channels: [Channel]) -> String {
        channels.isEmpty ? "none" : channels.map(\.rawValue).joined(separator: ", ")
    }
}
