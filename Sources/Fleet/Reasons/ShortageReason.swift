// SPDX-License-Identifier: Apache-2.0

/// What a full fleet lacks under its thresholds; `nil`: there is enough.
public struct ShortageReason: Codable, Sendable, Hashable {
    public var cores: Double?
    public var memoryBytes: UInt64?
    /// Hosts that the policy keeps in reserve.
    public var reserveHosts: Int

    public init(cores: Double?, memoryBytes: UInt64?, reserveHosts: Int) {
        self.cores = cores
        self.memoryBytes = memoryBytes
        self.reserveHosts = reserveHosts
    }

    /// Stable, for programs.
    public var code: String {
        switch (cores, memoryBytes) {
        case (_?, nil): "cpu-full"
        case (nil, _?): "memory-full"
        case (_?, _?), (nil, nil): "cpu-and-memory-full"
        }
    }
}
