// SPDX-License-Identifier: Apache-2.0

extension PreflightFailure.Reason {
    /// Whether the host will give the same answer until the VM's definition, or the host's hypervisor or CPU, is changed.
    ///
    /// Others may pass by themselves or by a repair that no sample shows: a service starts, a bridge is added.
    public var lasts: Bool {
        switch self {
        case .hypervisor(let reason): reason.lasts
        case .host(let reason): reason.lasts
        case .escort, .other: false
        }
    }
}

extension PreflightFailure.HypervisorReason {
    fileprivate var lasts: Bool {
        switch self {
        case .otherType, .older, .cpuFeaturesMissing, .cpuModelUnknown, .hostCPUDiffers, .cpuModelDiffers,
            .networkIsLocal:
            true
        case .cannotRun, .networkMissing, .nameTaken, .silent, .cpuNotCompared, .networkInactive, .uuidActive,
            .uuidDefined, .notRunning, .notOff, .failed:
            false
        // The source's own reasons are in its samples.
        case .snapshots, .checkpoints, .unsafeCache, .blockJob, .hostDevice, .sharedFolder, .confidentialGuest,
            .nonMigratableDevice, .managedSave, .hostState, .offlineUnsupported:
            false
        }
    }
}

extension PreflightFailure.HostReason {
    fileprivate var lasts: Bool {
        switch self {
        case .interfaceNotCheckable, .diskNotCheckable: true
        case .noBridge, .notShared, .otherFile, .markMissing, .deviceWithoutIdentity, .otherDevice, .memoryShort,
            .memoryOverLimit, .memoryUnknown, .fileMissing, .fileUnproven, .markNotWritten, .unreadable,
            .localFile, .takesNoOrders:
            false
        }
    }
}
