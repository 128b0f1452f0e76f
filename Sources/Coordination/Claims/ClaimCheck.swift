// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Compares a host's claims in its samples with its enrolled hardware, with the observations of witnesses, and with
/// each other.
///
/// A host that advertises more than it has would attract VMs.
///
/// Witnesses observe a host only now and then, therefore their observations count for five minutes. Cores and total
/// memory do not change; free memory and VMs do, and samples and observations are of different moments. An observation
/// contradicts only claims that every sample within a minute of it makes. It is judged when there are samples from half
/// a minute later.
///
/// No contradictions are:
///
/// - a claim below libvirt's figures: a control group may limit the host;
/// - VMs with more memory than is in use: pages that a guest has not touched are not allocated;
/// - less available memory than total minus used: a group's limit may exceed the free memory of its machine.
///
/// Witnesses can lie, too. A single witness only causes a doubt: plans use the lower figure, and the operator is
/// alerted. Two witnesses refute a claim if they outnumber its supporters. Distrusted witnesses do not count.
struct ClaimCheck {
    /// How long an observation counts.
    static let memory: Duration = .seconds(300)
    /// Maximum distance between an observation and the samples that it is compared with.
    private static let window: Duration = .seconds(60)
    /// How much newer the newest sample must be before an observation is judged.
    private static let patience: Duration = .seconds(30)

    /// The result for one host's claims.
    struct Result: Sendable, Equatable {
        /// Contradictions that make the host distrusted.
        var contradictions: [Contradiction] = []
        /// Contradictions by a single witness.
        var doubts: [Contradiction] = []
        /// Upper limits for plans.
        var ceiling = Ceiling()
        /// VMs that the host claims to run, and that no witness observed.
        var phantoms: Set<VMID> = []
    }

    /// Upper limits of a host's figures, from witnesses and enrolled hardware; `nil`: no limit.
    struct Ceiling: Sendable, Equatable {
        var cores: Double?
        var totalBytes: UInt64?
        var availableBytes: UInt64?
    }

    private let hardware: EnrolledHardware?
    private let samples: [LoadSample]
    private let newest: LoadSample
    /// Each witness's observations that still count; no list is empty.
    private let observations: [HostName: [PeerObservation]]
    private(set) var result = Result()

    /// Returns `nil` if the host has no sample yet.
    init?(_ history: HostHistory, hardware: EnrolledHardware?, observations: [HostName: [PeerObservation]]) {
        guard let newest = history.latest else { return nil }
        self.hardware = hardware
        self.newest = newest
        samples = history.samples
        self.observations = observations.compactMapValues { its in
            let counted = its.filter { (newest.at - $0.at).magnitude <= Self.memory }
            return counted.isEmpty ? nil : counted
        }
        if hardware != nil || !self.observations.isEmpty { checkFigures() }
        if !self.observations.isEmpty { checkVMs() }
        checkAgainstItself()
    }

    /// Returns the samples within a minute of an instant, oldest first.
    private func samples(around instant: Instant) -> ArraySlice<LoadSample> {
        let later = samples.reversed().prefix { $0.at - instant > Self.window }.count
        let known = samples.dropLast(later)
        return known.suffix(known.reversed().prefix { instant - $0.at <= Self.window }.count)
    }

    /// Returns a witness's newest observation that can be judged, with the samples around it.
    private func judged(
        _ observations: [PeerObservation]
    ) -> (observation: PeerObservation, samples: ArraySlice<LoadSample>)? {
        guard let observation = observations.last(where: { newest.at - $0.at >= Self.patience }) else { return nil }
        let samples = samples(around: observation.at)
        guard let first = samples.first, let last = samples.last, first.at <= observation.at, last.at > observation.at
        else { return nil }
        return (observation, samples)
    }

    // MARK: figures

    private mutating func checkFigures() {
        hold({ .cores($0) }, enrolled: hardware?.cpus.map { Double($0) }, seen: { Double($0.cpus) }) {
            usableFigure($0.cpu?.capacityCores)
        }
        result.ceiling.cores = ceiling(hardware?.cpus.map { Double($0) }) { Double($0.cpus) }
        let enrolled = hardware?.memoryBytes.map { Double($0) }
        hold({ .memory(mebibytes: Self.mebibytes($0)) }, enrolled: enrolled, seen: { Double($0.memoryBytes) }) {
            $0.memory.map { Double($0.totalBytes) }
        }
        result.ceiling.totalBytes = ceiling(enrolled) { Double($0.memoryBytes) }.map(Self.bytes)
        checkAvailable()
    }

    /// Returns the lower of the enrolled value and the highest observed one.
    private func ceiling(_ enrolled: Double?, _ seen: (PeerObservation) -> Double?) -> Double? {
        [observations.values.flatMap(\.self).compactMap(seen).max(), enrolled].compactMap(\.self).min()
    }

    /// Compares available memory, with a margin: it changes all the time, and libvirt and the kernel count caches
    /// differently.
    private mutating func checkAvailable() {
        func allowed(_ observation: PeerObservation) -> Double? {
            observation.availableBytes.map {
                Double($0) + Double(observation.memoryBytes) * Self.marginShare + Self.marginBytes
            }
        }
        let fresh = observations.values.flatMap(\.self).filter { (newest.at - $0.at).magnitude <= Self.window }
        result.ceiling.availableBytes = fresh.compactMap(allowed).max().map(Self.bytes)
        var against: [HostName: (claim: Double, most: Double)] = [:]
        var supporters = 0
        for (witness, its) in observations {
            guard let (observation, samples) = judged(its), let most = allowed(observation) else { continue }
            let claims = samples.compactMap { $0.memory.map { Double($0.availableBytes) } }
            guard let claim = claims.min(), claims.count == samples.count else { continue }
            if claim > most { against[witness] = (claim, most) } else if isFresh(observation) { supporters += 1 }
        }
        let claim = against.values.map(\.claim).min() ?? 0
        let most = against.values.map(\.most).max() ?? 0
        settle(against: against.keys.sorted(), for: supporters) {
            .moreAvailable(mebibytes: Self.mebibytes(claim), shownMebibytes: Self.mebibytes(most), witnesses: $0)
        }
    }

    /// Returns whether an observation is new enough to support a present claim.
    private func isFresh(_ observation: PeerObservation) -> Bool {
        newest.at - observation.at <= Self.window + Self.patience
    }

    private static let marginShare = 0.05
    private static let marginBytes = 256.0 * 1024 * 1024

    /// Compares the lowest claim of the last minute with observed and enrolled hardware.
    private mutating func hold(
        _ amount: (Double) -> Contradiction.Amount,
        enrolled: Double?,
        seen: (PeerObservation) -> Double,
        claim figure: (LoadSample) -> Double?
    ) {
        let recent = samples(around: newest.at)
        let claims = recent.compactMap(figure)
        guard let claim = claims.min(), claims.count == recent.count, claims.count > 1 else { return }
        if let enrolled, claim > enrolled {
            result.contradictions.append(.moreThanEnrolled(claimed: amount(claim), enrolled: amount(enrolled)))
        }
        let shown = observations.compactMapValues { $0.map(seen).max() }
        let against = shown.filter { claim > $0.value }
        let most = against.values.max() ?? 0
        settle(against: against.keys.sorted(), for: shown.count - against.count) {
            .moreThanShown(claimed: amount(claim), shown: amount(most), witnesses: $0)
        }
    }

    /// Adds a contradiction if two witnesses outnumber the claim's supporters, or a doubt if it has no supporters.
    private mutating func settle(
        against: [HostName],
        for supporters: Int,
        contradiction: ([HostName]) -> Contradiction
    ) {
        guard !against.isEmpty else { return }
        if against.count >= 2, against.count > supporters {
            result.contradictions.append(contradiction(against))
        } else if supporters == 0 {
            result.doubts.append(contradiction(against))
        }
    }

    // MARK: VMs

    private mutating func checkVMs() {
        let shown = observations.values.flatMap(\.self).reduce(into: Set()) { $0.formUnion($1.activeVMs) }
        var phantoms: [HostName: Set<VMID>] = [:]
        var hidden: [HostName: Set<VMID>] = [:]
        var supporters = 0
        for (witness, its) in observations {
            guard let (observation, samples) = judged(its) else { continue }
            let lists = samples.compactMap { $0.vms.map { Set($0.filter(\.state.isActive).map(\.id)) } }
            guard let first = lists.first, lists.count == samples.count else { continue }
            let always = lists.dropFirst().reduce(first) { $0.intersection($1) }
            let ever = lists.reduce(into: Set()) { $0.formUnion($1) }
            let (more, less) = (always.subtracting(shown), Set(observation.activeVMs).subtracting(ever))
            if !more.isEmpty { phantoms[witness] = more }
            if !less.isEmpty { hidden[witness] = less } else if isFresh(observation) { supporters += 1 }
        }
        let claimed = Set((newest.vms ?? []).filter(\.state.isActive).map(\.id))
        result.phantoms = phantoms.values.reduce(into: Set()) { $0.formUnion($1) }.intersection(claimed)
        if let one = phantoms.values.flatMap(\.self).min() {
            let name = newest.vms?.first { $0.id == one }?.name ?? one.rawValue
            // A phantom has no supporters, because no witness observed it.
            settle(against: phantoms.keys.sorted(), for: 0) {
                .unseenVM(name: name, witnesses: $0)
            }
        }
        guard let one = hidden.values.flatMap(\.self).min() else { return }
        let against = hidden.filter { $0.value.contains(one) }.keys.sorted()
        settle(against: against, for: supporters + hidden.count - against.count) {
            .hiddenVM(one, witnesses: $0)
        }
    }

    // MARK: itself

    private mutating func checkAgainstItself() {
        let recent = samples(around: newest.at)
        guard recent.count > 1 else { return }
        func always(_ contradicts: (LoadSample) -> Bool) -> Bool { recent.reversed().allSatisfy(contradicts) }
        if always({ sample in
            guard let memory = sample.memory else { return false }
            let (used, available, total) = (
                Double(memory.usedBytes), Double(memory.availableBytes), Double(memory.totalBytes)
            )
            let margin = total * Self.ownMarginShare + Self.marginBytes
            return available > total || used + available > total + margin
        }), let memory = newest.memory {
            result.contradictions.append(
                .memoryDoesNotAddUp(
                    usedMebibytes: memory.usedBytes >> 20,
                    availableMebibytes: memory.availableBytes >> 20,
                    totalMebibytes: memory.totalBytes >> 20
                )
            )
        }
        if always({ sample in
            guard let busy = usableFigure(sample.cpu?.busyCores), let vms = sample.vms else { return false }
            return Self.cores(vms) > busy * (1 + Self.ownMarginShare) + 1
        }) {
            result.contradictions.append(
                .vmsUseMore(busyCores: newest.cpu?.busyCores ?? 0, vmCores: Self.cores(newest.vms ?? []))
            )
        }
    }

    /// A margin, because the figures of one sample are not of one moment either.
    private static let ownMarginShare = 0.25

    private static func cores(_ vms: [VMSample]) -> Double {
        vms.reduce(0) { $0 + (usableFigure($1.cpuCores) ?? 0) }
    }

    // MARK: numbers

    private static func bytes(_ figure: Double) -> UInt64 { UInt64(min(max(0, figure), 1e18)) }
    private static func mebibytes(_ figure: Double) -> UInt64 { bytes(figure) >> 20 }
}

extension Duration {
    fileprivate var magnitude: Duration { self < .zero ? .zero - self : self }
}
