// SPDX-License-Identifier: Apache-2.0

/// Stable codes of reasons, for programs.
extension PreflightFailure.Reason {
    public var code: String {
        switch self {
        case .hypervisor(let reason): reason.code
        case .host(let reason): reason.code
        case .escort(let reason): reason.code
        case .other: "other"
        }
    }
}

extension PreflightFailure.HypervisorReason {
    var code: String {
        switch self {
        case .silent: "hypervisor-silent"
        case .otherType: "hypervisor-type"
        case .older: "hypervisor-older"
        case .cannotRun: "machine-type"
        case .cpuFeaturesMissing: "cpu-features-missing"
        case .cpuNotCompared: "cpu-not-compared"
        case .cpuModelUnknown: "cpu-model-unknown"
        case .hostCPUDiffers: "host-cpu-differs"
        case .cpuModelDiffers: "cpu-model-differs"
        case .networkInactive: "network-inactive"
        case .networkMissing: "network-missing"
        case .networkIsLocal: "network-local"
        case .uuidActive: "uuid-active"
        case .uuidDefined: "uuid-defined"
        case .nameTaken: "name-taken"
        case .notRunning: "not-running"
        case .notOff: "not-off"
        case .managedSave: "managed-save"
        case .hostState(.firmwareVariables): "firmware-variables"
        case .hostState(.tpm): "tpm-state"
        case .offlineUnsupported: "offline-unsupported"
        case .snapshots: "snapshots"
        case .checkpoints: "checkpoints"
        case .unsafeCache: "unsafe-cache"
        case .blockJob: "block-job"
        case .hostDevice: "host-device"
        case .sharedFolder: "shared-folder"
        case .confidentialGuest: "confidential-guest"
        case .nonMigratableDevice: "non-migratable-device"
        case .failed: "hypervisor-failed"
        }
    }
}

extension PreflightFailure.HostReason {
    var code: String {
        switch self {
        case .memoryShort: "memory-short"
        case .memoryOverLimit: "memory-over-limit"
        case .memoryUnknown: "memory-unknown"
        case .noBridge: "no-bridge"
        case .interfaceNotCheckable: "interface-not-checkable"
        case .diskNotCheckable: "disk-not-checkable"
        case .fileMissing: "file-missing"
        case .localFile: "local-file"
        case .fileUnproven: "file-unproven"
        case .notShared: "not-shared"
        case .otherFile: "other-file"
        case .markMissing: "mark-missing"
        case .markNotWritten: "mark-not-written"
        case .deviceWithoutIdentity: "device-without-identity"
        case .otherDevice: "other-device"
        case .unreadable: "disk-unreadable"
        case .takesNoOrders: "takes-no-orders"
        }
    }
}

extension PreflightFailure.EscortReason {
    var code: String {
        switch self {
        case .plainNotAllowed: "plain-not-allowed"
        case .sealedNotOffered: "sealed-not-offered"
        case .targetNotConfigured: "target-not-configured"
        case .gatesNotOpened: "gates-not-opened"
        case .closuresDamaged: "closures-damaged"
        case .failed: "escort-failed"
        }
    }
}
