// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Which hosts' claims are believed, from their samples, their enrolled hardware and what other hosts were shown.
///
/// A host that is contradicted is distrusted until it has not been for a while (the policy's cool-down).
struct Trust: Sendable {
    var hardware: [HostName: EnrolledHardware] = [:]
    private var observations: [HostName: [HostName: [PeerObservation]]] = [:]
    private var standings: [HostName: Standing] = [:]
    private let probation: Duration

    /// How a host stands by its latest sample.
    private struct Standing: Sendable {
        var result = ClaimCheck.Result()
        /// When it was last contradicted, and how; `nil`: it is believed.
        var distrust: (since: Instant, contradictions: [Contradiction])?
    }

    /// `probation`: how long a host must go uncontradicted to be believed again.
    init(probation: Duration) { self.probation = probation }

    /// Takes in the newest sample of a host's history: what it saw of others, and what it says of itself.
    ///
    /// `instant` is the controller's: by its own clock a host could end its probation whenever it likes.
    mutating func take(_ sample: LoadSample, of history: HostHistory, at instant: Instant) {
        for observation in (sample.observations ?? []).prefix(Self.mostObservations)
        where observation.host != sample.host {
            note(observation, by: sample.host)
        }
        let witnesses = (observations[sample.host] ?? [:]).filter { !isDistrusted($0.key) }
        guard let check = ClaimCheck(history, hardware: hardware[sample.host], observations: witnesses),
            standings[sample.host] != nil || check.result != ClaimCheck.Result()
        else { return }
        var standing = standings[sample.host] ?? Standing()
        standing.result = check.result
        if !check.result.contradictions.isEmpty {
            standing.distrust = (instant, check.result.contradictions)
        } else if let since = standing.distrust?.since {
            if instant - since >= probation { standing.distrust = nil }
            // The controller's clock was set back: the probation begins anew.
            if instant < since { standing.distrust?.since = instant }
        }
        standings[sample.host] = standing
    }

    /// No host tells of more others; one that does is not to fill the memory.
    private static let mostObservations = 64
    private static let mostKept = 64

    private mutating func note(_ observation: PeerObservation, by witness: HostName) {
        var kept = observations[observation.host]?[witness] ?? []
        guard kept.last.map({ $0.at < observation.at }) ?? true else {
            // Samples repeat the observations of some minutes; or a clock that was set back.
            if let last = kept.last, last.at - observation.at > ClaimCheck.memory * 2 {
                observations[observation.host]?[witness] = [observation]
            }
            return
        }
        kept.append(observation)
        kept.removeAll { observation.at - $0.at > ClaimCheck.memory }
        observations[observation.host, default: [:]][witness] = kept.suffix(Self.mostKept)
    }

    // MARK: what follows

    func isDistrusted(_ host: HostName) -> Bool { standings[host]?.distrust != nil }

    /// Hosts that are not believed, and why.
    var distrusted: [HostName: [Contradiction]] { standings.compactMapValues { $0.distrust?.contradictions } }

    /// Claims that one witness alone contradicts, in the order of the hosts.
    var doubts: [Doubt] {
        standings.keys.sorted().compactMap { host in
            guard let doubts = standings[host]?.result.doubts, !doubts.isEmpty, !isDistrusted(host) else { return nil }
            return Doubt(host: host, contradictions: doubts)
        }
    }

    /// VMs that a host claims to run and does not.
    func phantoms(of host: HostName) -> Set<VMID> { standings[host]?.result.phantoms ?? [] }

    /// A host's history with no more in it than others' words leave of its claims.
    func believable(_ history: HostHistory) -> HostHistory {
        guard let result = standings[history.name]?.result else { return history }
        let (ceiling, phantoms) = (result.ceiling, result.phantoms)
        guard let latest = history.latest, !phantoms.isEmpty || ceiling.isBelow(latest) else { return history }
        var history = history
        for index in history.samples.indices {
            ceiling.apply(to: &history.samples[index])
            history.samples[index] = history.samples[index].without(phantoms)
        }
        return history
    }

    /// Forgets hosts that say nothing of themselves: a liar can make up as many as it likes.
    mutating func forget(allBut hosts: some Sequence<HostName>) {
        let known = Set(hosts)
        standings = standings.filter { known.contains($0.key) }
        observations = observations.filter { known.contains($0.key) }
    }
}

extension LoadSample {
    /// The sample as if it had not told of these VMs.
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
