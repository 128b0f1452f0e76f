// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The combinations that are excluded, and why.
extension FaultCell {
    /// Why the combination is impossible or says nothing; `nil` if it is a cell of the matrix.
    public var exclusion: String? { exclusionByChannel ?? exclusionByAction ?? exclusionByPhase }

    private var exclusionByChannel: String? {
        if phase.isOfSealedMove, channel != .sealed { return "only a sealed move has this phase" }
        if phase.isOfLiveMove, channel == .sealed { return "a sealed move does not copy while the VM runs" }
        switch component {
        case .sourceCharon, .targetCharon:
            return channel == .ipsec ? nil : "charon carries nothing of a move over \(channel.rawValue)"
        case .link where channel == .sealed: return "a sealed move uses no connection between the hosts"
        default: return nil
        }
    }

    private var exclusionByAction: String? {
        switch (component, action) {
        case (.sourceQEMU, .restart), (.targetQEMU, .restart): "QEMU does not restart: see kill"
        case (.link, .kill), (.storageLink, .kill), (.targetStorageLink, .kill):
            "a link can only fail for a while: see stop"
        case (.link, .restart), (.storageLink, .restart), (.targetStorageLink, .restart):
            "a link does not restart: see stop"
        case (.storage, .restart): "tgtd ignores SIGTERM while it has targets: see kill"
        case (.sourceHost, .restart), (.targetHost, .restart): "the lab's hosts have no orderly shutdown: see kill"
        default: nil
        }
    }

    private var exclusionByPhase: String? {
        switch component {
        case .sourceQEMU:
            switch phase {
            case .handedOver, .restoring: "the save has ended QEMU at the source"
            // Of a live move, the paused copy may still exist.
            case .moved: channel == .sealed ? "the save has ended QEMU at the source" : nil
            case .accepted, .prepared, .begun, .copying, .switchOver, .saving: nil
            }
        case .targetQEMU:
            switch phase {
            case .accepted, .prepared, .begun, .saving, .handedOver: "there is no copy at the target yet"
            case .copying, .switchOver, .restoring, .moved: nil
            }
        default: nil
        }
    }
}
