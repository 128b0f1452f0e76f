// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A resource whose share is held against thresholds.
enum Resource: String, CaseIterable {
    case cpu = "CPU"
    case memory = "memory"

    func share(of sample: LoadSample) -> Double? {
        switch self {
        case .cpu: sample.cpu?.share
        case .memory: sample.memory?.share
        }
    }

    func thresholds(in policy: Policy) -> Thresholds {
        switch self {
        case .cpu: policy.cpu
        case .memory: policy.memory
        }
    }
}

extension HostHistory {
    /// What the host is at the snapshot's instant.
    ///
    /// Samples from before the end of the last move that changed the host do not count: they tell of a host that is no
    /// longer so.
    public func judgement(in snapshot: FleetSnapshot, policy: Policy) -> Judgement {
        func judge(_ verdict: Judgement.Verdict, _ reason: String) -> Judgement {
            Judgement(host: name, verdict: verdict, reason: reason)
        }
        guard let latest else { return judge(.unknown, "no sample yet") }
        let age = snapshot.at - latest.at
        guard age >= .zero - policy.staleAfter else {
            return judge(
                .unknown,
                "its clock is \(seconds(.zero - age)) ahead of the controller's: synchronise the clocks"
            )
        }
        guard age <= policy.staleAfter else {
            return judge(
                .unknown,
                "stale: the last sample is \(seconds(age)) old, \(seconds(policy.staleAfter)) are allowed"
            )
        }
        if let failure = latest.failures.first, latest.cpu == nil || latest.memory == nil || latest.vms == nil {
            return judge(.unknown, "its last sample lacks figures: \(failure.source): \(failure.reason)")
        }
        guard latest.cpu != nil, latest.memory != nil, latest.vms != nil else {
            return judge(.unknown, "its last sample lacks figures of CPU, memory or VMs")
        }
        if let move = snapshot.movesInFlight.first(where: { $0.source == name || $0.target == name }) {
            return judge(.settling, "a move from \(move.source) to \(move.target) is under way")
        }
        let settledAt =
            snapshot.pastMoves
            .filter { ($0.move.source == name || $0.move.target == name) && $0.succeeded }
            .map(\.endedAt).max()
        // Samples from before a silence of the agent say nothing of what lasts until now.
        let oldest =
            latest.at - policy.staleAfter
            - .milliseconds(Int64((latest.intervalSeconds ?? 0) * 1000)) * policy.overloadWindow
        // A sample's rates reach one interval back, so one that began before the move ended is mixed.
        let window = samples.filter { sample in
            guard sample.at >= oldest else { return false }
            guard let settledAt else { return true }
            return sample.at - .milliseconds(Int64((sample.intervalSeconds ?? 0) * 1000)) >= settledAt
        }.suffix(policy.overloadWindow)
        var notYet = ""
        for resource in Resource.allCases {
            let upper = resource.thresholds(in: policy).upper
            let above = window.filter { (resource.share(of: $0) ?? 0) > upper }.count
            guard above > 0 else { continue }
            let seen = "\(resource.rawValue) above \(percent(upper)) in \(above) of the last \(window.count) samples"
            if above >= policy.overloadSamples {
                return judge(.overloaded, "\(seen), now \(percent(resource.share(of: latest) ?? 0))")
            }
            notYet += "; \(seen), \(policy.overloadSamples) make it overloaded"
        }
        guard !window.isEmpty else { return judge(.settling, "no sample since its last move ended") }
        let shares = Resource.allCases.map { "\($0.rawValue) \(percent($0.share(of: latest) ?? 0))" }
            .joined(separator: ", ")
        let isLight = Resource.allCases.allSatisfy {
            ($0.share(of: latest) ?? 1) <= $0.thresholds(in: policy).lower
        }
        return judge(isLight ? .light : .calm, shares + notYet)
    }
}
