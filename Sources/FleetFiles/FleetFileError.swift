// SPDX-License-Identifier: Apache-2.0

/// An error in a fleet file or a recording, with its place and reason.
public struct FleetFileError: Error, Sendable, Equatable, CustomStringConvertible {
    public var file: String
    /// The line, from 1; `nil` if the error concerns the whole file.
    public var line: Int?
    public var reason: String

    public init(file: String, line: Int? = nil, reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    public var description: String { line.map { "\(file):\($0): \(reason)" } ?? "\(file): \(reason)" }
}
