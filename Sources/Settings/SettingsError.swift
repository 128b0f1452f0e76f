// SPDX-License-Identifier: Apache-2.0

/// An error in the configuration: where, which key, and why.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file with line, an environment variable, or a flag.
    public var origin: String
    public var key: String
    public var reason: String
    public init(origin: String, key: String, reason: String) {
        self.origin = origin
        self.key = key
        self.reason = reason
    }
    public var description: String { key.isEmpty ? "\(origin): \(reason)" : "\(origin): \(key): \(reason)" }
}
