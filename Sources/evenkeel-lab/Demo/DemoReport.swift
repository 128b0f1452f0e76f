// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Lab

/// Everything the demonstration observed: as text (`+Markdown`, the plots) and as JSON.
struct DemoReport: Encodable, Sendable {
    /// A check by which the demonstration succeeds or fails.
    struct Check: Encodable, Sendable {
        var claim: String
        var holds: Bool
        var seen: String
    }

    struct HostSeries: Encodable, Sendable {
        var host: HostName
        var points: [Point]
        struct Point: Encodable, Sendable {
            var at: Instant
            /// Share of capacity; `nil` if the sample has no figure.
            var cpu: Double?
            var memory: Double?
            var vms: Int?
        }
    }

    struct WorkRate: Encodable, Sendable {
        var vm: String
        /// Units per second; `full` is the rate of an unconstrained guest, `nil` means too few observations.
        var before: Double?
        var after: Double?
        var full: Double
        var points: [Point]
        struct Point: Encodable, Sendable {
            var at: Instant
            var rate: Double
        }
    }

    struct Wire: Encodable, Sendable {
        var title: String
        var packets: Int
        var bytes: UInt64
        var espPackets: Int
        var markers: Int
        var packetsWithMarker: Int
        /// Packets that the capture dropped: any value but 0 weakens the count.
        var dropped: Int
        var packet: ShownPacket?
    }

    /// One packet, formatted as by a protocol analyser.
    struct ShownPacket: Encodable, Sendable {
        var summary: String
        var dump: String
    }

    var startedAt: Instant
    var endedAt: Instant
    var machine: String
    var policy: [String: String]
    var hosts: [HostSeries]
    var moves: [FleetView.Move]
    var plainMove: FleetView.Move?
    var rates: [WorkRate]
    var wires: [Wire]
    var checks: [Check]
    /// The reason why the demonstration ended early.
    var failure: String?

    var succeeded: Bool { failure == nil && !checks.isEmpty && checks.allSatisfy(\.holds) }
}
