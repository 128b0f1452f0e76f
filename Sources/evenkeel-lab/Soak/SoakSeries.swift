// SPDX-License-Identifier: Apache-2.0

/// The readings of one subject during one phase.
struct SoakSeries: Codable, Sendable, Equatable {
    /// A program, such as `agent h1`, or a part of a ledger.
    var subject: String
    /// Whether the subject is a program; otherwise it has only files.
    var isProgram: Bool
    var readings: [SoakReading] = []
    /// When the program was first found to have ended, in seconds since the beginning of the phase; `nil`: it ran.
    var endedAt: Double?
}

struct SoakReading: Codable, Sendable, Equatable {
    /// In seconds since the beginning of the phase.
    var at: Double
    var process: ProcessFigures?
    var files: FileFigures
    /// Number of samples written so far to the ledger that the program reads; `nil` if it does not matter.
    var samples: Int?
}

/// What a subject may use; `nil`: not judged.
struct SoakLimits: Codable, Sendable, Equatable {
    /// Growth of private memory from the beginning to the end, in bytes.
    var memoryGrowth: Int64? = 2 << 20
    /// Growth of private memory that is allowed in addition, in bytes for each sample that a controller's history
    /// has more at the end than at the beginning.
    var memoryPerSample: Int64 = 0
    /// Resident memory at any time after the warm-up, in bytes.
    var residentBytes: Int64?
    /// CPU of the program and its commands after the warm-up, as a share of one core.
    var cpuShare: Double?
    var descriptorGrowth = 0
    /// A pool of threads may get another worker late; if both halves add threads, half of this is allowed.
    var threadGrowth = 2
    /// A first move creates a few files.
    var fileGrowth = 4
    /// Growth of all files together, in bytes; `nil` if they only have an upper bound.
    var fileBytesGrowth: Int64? = 1 << 20
    /// Size of all files together, in bytes.
    var fileBytes: Int64?
}
