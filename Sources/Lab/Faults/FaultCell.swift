// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// One cell of the fault matrix: what fails, how, and in which phase of a move over which channel.
public struct FaultCell: Sendable, Hashable {
    public var component: Component
    public var action: Action
    public var phase: MovePhase
    public var channel: Channel

    /// What fails: a daemon, a guest's QEMU, storage, a link, or a whole host.
    public enum Component: String, Sendable, Codable, CaseIterable {
        case sourceAgent = "source-agent"
        case targetAgent = "target-agent"
        case controller
        case sourceLibvirtd = "source-libvirtd"
        case targetLibvirtd = "target-libvirtd"
        /// The QEMU process of the guest at its source.
        case sourceQEMU = "source-qemu"
        /// The QEMU process of the guest at its target: at first the incoming copy.
        case targetQEMU = "target-qemu"
        case sourceCharon = "source-charon"
        case targetCharon = "target-charon"
        /// The iSCSI target of all disks.
        case storage
        /// The link between the source and the storage.
        case storageLink = "storage-link"
        /// The link between the target and the storage.
        case targetStorageLink = "target-storage-link"
        /// The link between source and target.
        case link
        case sourceHost = "source-host"
        case targetHost = "target-host"
    }

    /// How it fails.
    public enum Action: String, Sendable, Codable, CaseIterable {
        /// SIGKILL, and a start some seconds later; a host loses its power.
        case kill
        /// SIGSTOP and, after a while, SIGCONT; a link passes nothing for a while.
        case stop
        /// SIGTERM and a start at once, as by a package upgrade.
        case restart
    }

    /// The channels of the matrix: one of each kind.
    public static let channels: [Channel] = [.ipsec, .tls, .sealed]

    public init(_ component: Component, _ action: Action, _ phase: MovePhase, _ channel: Channel) {
        self.component = component
        self.action = action
        self.phase = phase
        self.channel = channel
    }
}

extension FaultCell: LosslessStringConvertible {
    /// For instance `source-agent/kill/copying/ipsec`.
    public var description: String {
        "\(component.rawValue)/\(action.rawValue)/\(phase.rawValue)/\(channel.rawValue)"
    }

    /// Returns the cell of this name, possible or not; `nil` if a part of the name is unknown.
    public init?(_ description: String) {
        let parts = description.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, let component = Component(rawValue: parts[0]), let action = Action(rawValue: parts[1]),
            let phase = MovePhase(rawValue: parts[2]), let channel = Channel(rawValue: parts[3]),
            Self.channels.contains(channel)
        else { return nil }
        self.init(component, action, phase, channel)
    }
}

extension FaultCell: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let cell = FaultCell(name) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "unknown cell \(name)")
        }
        self = cell
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension FaultCell {
    /// Every combination, possible or not, in a fixed order.
    public static var combinations: [FaultCell] {
        Component.allCases.flatMap { component in
            Action.allCases.flatMap { action in
                MovePhase.allCases.flatMap { phase in
                    channels.map { FaultCell(component, action, phase, $0) }
                }
            }
        }
    }

    /// Every possible cell, in a fixed order.
    public static var possible: [FaultCell] { combinations.filter { $0.exclusion == nil } }

    /// Draws `count` different possible cells; all of them if there are fewer.
    ///
    /// The same seed gives the same cells, and a smaller count the first of them. The components take turns, so that
    /// a short run has cells of each.
    public static func draw(_ count: Int, seed: UInt64) -> [FaultCell] {
        var generator = SplitMix64(seed: seed)
        var left = Component.allCases.map { component in
            possible.filter { $0.component == component }.shuffled(using: &generator)
        }
        var drawn: [FaultCell] = []
        while drawn.count < count, left.contains(where: { !$0.isEmpty }) {
            for turn in left.indices.shuffled(using: &generator) {
                guard drawn.count < count, let cell = left[turn].popLast() else { continue }
                drawn.append(cell)
            }
        }
        return drawn
    }
}
