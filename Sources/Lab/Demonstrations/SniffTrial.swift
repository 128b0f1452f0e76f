// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

/// One move with an eavesdropper on the LAN.
public struct SniffTrial: Sendable, Codable {
    public var channel: Channel
    public var guest: String
    /// The reason why the move failed; `nil` if it succeeded.
    public var failure: String?
    public var heard: Eavesdropping
    /// Packets that the capture dropped: any value but 0 weakens the result.
    public var dropped: Int
    /// The retained capture; `nil` if none was requested.
    public var capture: String?

    public var sawMemory: Bool { heard.secrets > 0 || heard.memoryPieces > 0 }
}

extension HostLab {
    /// Captures the LAN while the guest moves over the channel, and searches for the guest's secret.
    ///
    /// The capture may contain the guest's memory. It is deleted, or kept in a folder as a file that only its owner can
    /// read.
    public func sniff(
        _ guest: GuestPlan,
        movingTo target: HostName,
        channel: Channel,
        keepIn folder: String? = nil
    ) async throws -> SniffTrial {
        let path = "\(site.stateFolder)/sniff-\(guest.name)-\(channel.rawValue).pcap"
        let capture = try await capture(to: path)
        let move = try await self.move(guest, to: target, channel: channel)
        let dropped = try await capture.stop()
        let heard = try await PacketCapture(path: path).eavesdrop(secret: guest.marker, memory: guest.checkedMemory())
        let kept = folder.map { "\($0)/\(guest.name)-\(channel.rawValue).pcap" }
        if let folder, let kept {
            try await Blocking.run {
                try Files.makeFolder(folder)
                // Remove an existing file first: it would keep its mode.
                try Files.remove(kept)
                try Files.copy(path, to: kept, mode: 0o600)
            }
        }
        try await Blocking.run { try Files.remove(path) }
        return SniffTrial(
            channel: channel,
            guest: guest.name,
            failure: move.failure.map { "\($0.kind.rawValue): \($0.reason)" },
            heard: heard,
            dropped: dropped,
            capture: kept
        )
    }
}

extension [SniffTrial] {
    /// Whether the trials cover exactly these channels, every move succeeded, and memory was visible only under
    /// `plain`.
    ///
    /// Visible memory under `plain` proves that the eavesdropper works.
    public func areAsExpected(of channels: [Channel]) -> Bool {
        Set(map(\.channel)) == Set(channels)
            && contains { $0.channel == .plain && $0.heard.secrets > 0 }
            && contains { $0.channel != .plain }
            && allSatisfy { $0.failure == nil && ($0.channel == .plain || !$0.sawMemory) }
    }
}
