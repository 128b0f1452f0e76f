// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Compares a host's claims in its samples with its enrolled hardware and with each other.
///
/// A host that advertises more than it has would attract VMs. A claim counts only if every sample of the last minute
/// makes it.
///
/// No contradictions are:
///
/// - a claim below the enrolled hardware: a control group may limit the host;
/// - VMs with more memory than is in use: pages that a guest has not touched are not allocated;
/// - less available memory than total minus used: a group's limit may exceed the free memory of its machine.
struct ClaimCheck {
    private static let window: Duration = .seconds(60)

    private let newest: LoadSample
    /// The samples of the last minute, oldest first.
    private let recent: ArraySlice<LoadSample>
    private(set) var contradictions: [Contradiction] = []

    /// Returns `nil` if the host has no sample yet.
    init?(_ history: HostHistory, hardware: EnrolledHardware?) {
        guard let newest = history.latest else { return nil }
        self.newest = newest
        let count = history.samples.reversed().prefix { newest.at - $0.at <= Self.window }.count
        // A single sample may be a mistake, and a host that samples seldom must not escape the check.
        recent = history.samples.suffix(max(2, count))
        guard recent.count > 1 else { return }
        if let hardware { checkHardware(hardware) }
        checkAgainstItself()
    }

    // MARK: enrolled hardware

    private mutating func checkHardware(_ hardware: EnrolledHardware) {
        hold({ .cores($0) }, enrolled: hardware.cpus.map { Double($0) }) { usableFigure($0.cpu?.capacityCores) }
        hold({ .memory(mebibytes: Self.mebibytes($0)) }, enrolled: hardware.memoryBytes.map { Double($0) }) {
            $0.memory.map { Double($0.totalBytes) }
        }
    }

    /// Compares the lowest claim of the last minute with the enrolled amount.
    private mutating func hold(
        _ amount: (Double) -> Contradiction.Amount,
        enrolled: Double?,
        claim figure: (LoadSample) -> Double?
    ) {
        let claims = recent.compactMap(figure)
        guard let enrolled, let claim = claims.min(), claims.count == recent.count, claim > enrolled else { return }
        contradictions.append(.moreThanEnrolled(claimed: amount(claim), enrolled: amount(enrolled)))
    }

    // MARK: itself

    private mutating func checkAgainstItself() {
        func always(_ contradicts: (LoadSample) -> Bool) -> Bool { recent.reversed().allSatisfy(contradicts) }
        if always({ sample in
            guard let memory = sample.memory else { return false }
            let (used, available, total) = (
                Double(memory.usedBytes), Double(memory.availableBytes), Double(memory.totalBytes)
            )
            let margin = total * Self.marginShare + Self.marginBytes
            return available > total || used + available > total + margin
        }), let memory = newest.memory {
            contradictions.append(
                .memoryDoesNotAddUp(
                    usedMebibytes: memory.usedBytes >> 20,
                    availableMebibytes: memory.availableBytes >> 20,
                    totalMebibytes: memory.totalBytes >> 20
                )
            )
        }
        if always({ sample in
            guard let busy = usableFigure(sample.cpu?.busyCores), let vms = sample.vms else { return false }
            return Self.cores(vms) > busy * (1 + Self.marginShare) + 1
        }) {
            contradictions.append(
                .vmsUseMore(busyCores: newest.cpu?.busyCores ?? 0, vmCores: Self.cores(newest.vms ?? []))
            )
        }
    }

    // Margins, because the figures of one sample are not of one moment.
    private static let marginShare = 0.25
    private static let marginBytes = 256.0 * 1024 * 1024

    private static func cores(_ vms: [VMSample]) -> Double {
        vms.reduce(0) { $0 + (usableFigure($1.cpuCores) ?? 0) }
    }

    private static func mebibytes(_ figure: Double) -> UInt64 { UInt64(min(max(0, figure), 1e18)) >> 20 }
}
