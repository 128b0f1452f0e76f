// SPDX-License-Identifier: Apache-2.0

extension PreflightFailure.Reason {
    /// Whether the host will give the same answer until the VM's definition or the host itself is changed.
    ///
    /// Others may pass by themselves: a service starts, storage is mounted again, memory becomes free.
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
        case .otherType, .older, .cannotRun, .cpuFeaturesMissing, .cpuModelUnknown, .hostCPUDiffers, .cpuModelDiffers,
            .networkMissing, .networkIsLocal, .nameTaken:
            true
        case .silent, .cpuNotCompared, .networkInactive, .uuidActive, .uuidDefined, .notRunning, .failed:
            false
        // The source's own reasons are in its samples.
        case .snapshots, .checkpoints, .unsafeCache, .blockJob, .hostDevice, .sharedFolder, .confidentialGuest,
            .nonMigratableDevice:
            false
        }
    }
}

extension PreflightFailure.HostReason {
    fileprivate var lasts: Bool {
        switch self {
        case .noBridge, .interfaceNotCheckable, .diskNotCheckable, .notShared, .otherFile, .markMissing,
            .deviceWithoutIdentity, .otherDevice:
            true
        case .memoryShort, .memoryOverLimit, .memoryUnknown, .fileMissing, .fileUnproven, .markNotWritten, .unreadable,
            .localFile:
            false
        }
    }
}
