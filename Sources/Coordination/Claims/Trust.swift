// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Decides which hosts are trusted, from their samples, their enrolled hardware and the observations of other hosts.
///
/// A contradicted host is distrusted until it has gone uncontradicted for the policy's cool-down.
struct Trust: Sendable {
    var hardware: [HostName: EnrolledHardware] = [:]
    private var observations: [HostName: [HostName: [PeerObservation]]] = [:]
    private var assessments: [HostName: Assessment] = [:]
    private let probation: Duration

    /// A host's state after its latest sample.
    private struct Assessment: Sendable {
        var result = ClaimCheck.Result()
        /// The time and content of the last contradictions; `nil`: the host is trusted.
        var distrust: (since: Instant, contradictions: [Contradiction])?
    }

    /// `probation`: how long a host must go uncontradicted to be trusted again.
    init(probation: Duration) { self.probation = probation }

    /// Applies the newest sample of a host's history: its observations of other hosts, and its claims about itself.
    ///
    /// `instant` is the controller's time: with its own clock, a host could end its probation at will.
    mutating func take(_ sample: LoadSample, of history: HostHistory, at instant: Instant) {
        for observation in (sample.observations ?? []).prefix(Self.mostObservations)
        where observation.host != sample.host {
            note(observation, by: sample.host)
        }
        let witnesses = (observations[sample.host] ?? [:]).filter { !isDistrusted($0.key) }
        guard let check = ClaimCheck(history, hardware: hardware[sample.host], observations: witnesses),
            assessments[sample.host] != nil || check.result != ClaimCheck.Result()
        else { return }
        var assessment = assessments[sample.host] ?? Assessment()
        assessment.result = check.result
        if !check.result.contradictions.isEmpty {
            assessment.distrust = (instant, check.result.contradictions)
        } else if let since = assessment.distrust?.since {
            if instant - since >= probation { assessment.distrust = nil }
            // The controller's clock was set back: the probation begins anew.
            if instant < since { assessment.distrust?.since = instant }
        }
        assessments[sample.host] = assessment
    }

    /// Limits the memory that a lying host can fill.
    private static let mostObservations = 64
    private static let mostKept = 64

    private mutating func note(_ observation: PeerObservation, by witness: HostName) {
        var kept = observations[observation.host]?[witness] ?? []
        guard kept.last.map({ $0.at < observation.at }) ?? true else {
            // Samples repeat the observations of some minutes; a much older one means that the clock was set back.
            if let last = kept.last, last.at - observation.at > ClaimCheck.memory * 2 {
                observations[observation.host]?[witness] = [observation]
            }
            return
        }
        kept.append(observation)
        kept.removeAll { observation.at - $0.at > ClaimCheck.memory }
        observations[observation.host, default: [:]][witness] = kept.suffix(Self.mostKept)
    }

    // MARK: results

    func isDistrusted(_ host: HostName) -> Bool { assessments[host]?.distrust != nil }

    /// Distrusted hosts, and why.
    var distrusted: [HostName: [Contradiction]] { assessments.compactMapValues { $0.distrust?.contradictions } }

    /// Claims that one witness alone contradicts, in the order of the hosts.
    var doubts: [Doubt] {
        assessments.keys.sorted().compactMap { host in
            guard let doubts = assessments[host]?.result.doubts, !doubts.isEmpty, !isDistrusted(host) else {
                return nil
            }
            return Doubt(host: host, contradictions: doubts)
        }
    }

    /// Returns the VMs that a host claims to run, and that no witness observed.
    func phantoms(of host: HostName) -> Set<VMID> { assessments[host]?.result.phantoms ?? [] }

    /// Returns a host's history with its figures capped at the ceiling and without its phantoms.
    func corrected(_ history: HostHistory) -> HostHistory {
        guard let result = assessments[history.name]?.result else { return history }
        let (ceiling, phantoms) = (result.ceiling, result.phantoms)
        guard let latest = history.latest, !phantoms.isEmpty || ceiling.isBelow(latest) else { return history }
        var history = history
        for index in history.samples.indices {
            ceiling.apply(to: &history.samples[index])
            history.samples[index] = history.samples[index].without(phantoms)
        }
        return history
    }

    /// Forgets hosts without samples, because a lying host can report observations of any number of invented hosts.
    mutating func forget(allBut hosts: some Sequence<HostName>) {
        let known = Set(hosts)
        assessments = assessments.filter { known.contains($0.key) }
        observations = observations.filter { known.contains($0.key) }
    }
}

extension LoadSample {
    /// Returns the sample without these VMs.
    func without(_ vms: Set<VMID>) -> LoadSample {
        guard !vms.isEmpty else { return self }
        var sample = self
        sample.vms?.removeAll { vms.contains($0.id) }
        return sample
    }
}

extension ClaimCheck.Ceiling {
    fileprivate func isBelow(_ sample: LoadSample) -> Bool {
        var capped = sample
        apply(to: &capped)
        return capped.cpu != sample.cpu || capped.memory != sample.memory
    }

    fileprivate func apply(to sample: inout LoadSample) {
        if let cores, let claim = sample.cpu?.capacityCores { sample.cpu?.capacityCores = min(claim, cores) }
        if let totalBytes, let claim = sample.memory?.totalBytes { sample.memory?.totalBytes = min(claim, totalBytes) }
        if let availableBytes, let claim = sample.memory?.availableBytes, claim > availableBytes {
            sample.memory?.availableBytes = availableBytes
        }
    }
}
