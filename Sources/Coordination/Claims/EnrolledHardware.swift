// SPDX-License-Identifier: Apache-2.0

/// What a host's machine has, as whoever enrolled it said; `nil`: that was not said.
public struct EnrolledHardware: Codable, Sendable, Equatable {
    public var cpus: Int?
    public var memoryBytes: UInt64?
    public init(cpus: Int? = nil, memoryBytes: UInt64? = nil) {
        self.cpus = cpus
        self.memoryBytes = memoryBytes
    }
}
