// SPDX-License-Identifier: Apache-2.0

/// Why a file is not a fleet, or no recording: where, and what is wrong there.
public struct FleetFileError: Error, Sendable, Equatable, CustomStringConvertible {
    public var file: String
    /// From 1; `nil` where the fault is the file's as a whole.
    public var line: Int?
    public var reason: String

    public init(file: String, line: Int? = nil, reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    public var description: String { line.map { "\(file):\($0): \(reason)" } ?? "\(file): \(reason)" }
}
