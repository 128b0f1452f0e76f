// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet

/// The statistics of one migration job, running or completed; a figure that libvirt did not give is `nil`.
struct JobStatistics: Equatable {
    var isOutgoing = false
    var isIncoming = false
    var elapsedMilliseconds: UInt64?
    var downtimeMilliseconds: UInt64?
    var memoryTotal: UInt64?
    var memoryProcessed: UInt64?
    var memoryRemaining: UInt64?
    var iteration: UInt64?
    var dirtyPagesPerSecond: UInt64?

    init() {}

    init(_ parameters: TypedParameters) {
        let operation = parameters.int(VIR_DOMAIN_JOB_OPERATION) ?? 0
        isOutgoing = operation == Int32(VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT.rawValue)
        isIncoming = operation == Int32(VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN.rawValue)
        elapsedMilliseconds = parameters.unsignedLong(VIR_DOMAIN_JOB_TIME_ELAPSED)
        downtimeMilliseconds = parameters.unsignedLong(VIR_DOMAIN_JOB_DOWNTIME)
        memoryTotal = parameters.unsignedLong(VIR_DOMAIN_JOB_MEMORY_TOTAL)
        memoryProcessed = parameters.unsignedLong(VIR_DOMAIN_JOB_MEMORY_PROCESSED)
        memoryRemaining = parameters.unsignedLong(VIR_DOMAIN_JOB_MEMORY_REMAINING)
        iteration = parameters.unsignedLong(VIR_DOMAIN_JOB_MEMORY_ITERATION)
        dirtyPagesPerSecond = parameters.unsignedLong(VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE)
    }

    /// Returns the running job of the domain, or its last completed one; `nil` if there is none.
    static func of(_ domain: borrowing DomainHandle, completed: Bool = false) throws(LibvirtError) -> Self? {
        var type: Int32 = 0
        var pointer: virTypedParameterPtr?
        var count: Int32 = 0
        // Keep the figures for a second reader, such as an operator with virsh.
        let flags =
            completed
            ? VIR_DOMAIN_JOB_STATS_COMPLETED.rawValue | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED.rawValue : 0
        guard virDomainGetJobStats(domain.pointer, &type, &pointer, &count, flags) == 0 else {
            let error = LibvirtError.last(in: "virDomainGetJobStats")
            // A domain that has just stopped has no job. A driver without this call reports no jobs.
            if error.is(VIR_ERR_OPERATION_INVALID) || error.isUnsupported { return nil }
            throw error
        }
        defer { virTypedParamsFree(pointer, count) }
        guard type != Int32(VIR_DOMAIN_JOB_NONE.rawValue) else { return nil }
        return Self(TypedParameters(pointer: pointer, count: count))
    }

    /// The job's progress; `nil` until libvirt gives the elapsed time and all byte counts.
    var progress: MigrationProgress? {
        guard let elapsedMilliseconds, let memoryProcessed, let memoryRemaining, let memoryTotal else { return nil }
        return MigrationProgress(
            elapsedSeconds: Double(elapsedMilliseconds) / 1000,
            bytesTransferred: memoryProcessed,
            bytesRemaining: memoryRemaining,
            bytesTotal: memoryTotal,
            iteration: iteration.map(Int.init(clamping:)),
            dirtyPagesPerSecond: dirtyPagesPerSecond
        )
    }
}
