// SPDX-License-Identifier: Apache-2.0

/// The resources that a full fleet lacks within its thresholds; `nil`: enough.
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

    /// A stable code for programs.
    public var code: String {
        switch (cores, memoryBytes) {
        case (_?, nil): "cpu-full"
        case (nil, _?): "memory-full"
        case (_?, _?), (nil, nil): "cpu-and-memory-full"
        }
    }
}
