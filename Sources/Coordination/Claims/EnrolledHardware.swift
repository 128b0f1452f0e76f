// SPDX-License-Identifier: Apache-2.0

/// A host's hardware as stated at its enrolment; `nil`: not stated.
public struct EnrolledHardware: Codable, Sendable, Equatable {
    public var cpus: Int?
    public var memoryBytes: UInt64?
    public init(cpus: Int? = nil, memoryBytes: UInt64? = nil) {
        self.cpus = cpus
        self.memoryBytes = memoryBytes
    }
}
