// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A resource whose share is held against thresholds.
enum Resource: String, CaseIterable {
    case cpu = "CPU"
    case memory = "memory"

    func share(of sample: LoadSample) -> Double? {
        switch self {
        case .cpu: finite(sample.cpu?.share)
        case .memory: finite(sample.memory?.share)
        }
    }

    func thresholds(in policy: Policy) -> Thresholds {
        switch self {
        case .cpu: policy.cpu
        case .memory: policy.memory
        }
    }
}

extension FleetSnapshot {
    /// What every host is at the snapshot's instant, in the order of their names.
    public func judgements(policy: Policy) -> [Judgement] {
        let moves = MoveIndex(self, policy: policy)
        return hosts.map { $0.judgement(moves: moves) }
    }
}

extension HostHistory {
    /// What the host is at the snapshot's instant.
    ///
    /// Samples from before the end of the last move that changed the host do not count: they tell of a host that is no
    /// longer so.
    public func judgement(in snapshot: FleetSnapshot, policy: Policy) -> Judgement {
        judgement(moves: MoveIndex(snapshot, policy: policy))
    }

    /// Why nothing can be said of the host; `nil` when its latest sample is fresh and has what is needed.
    func reasonUnknown(at instant: Instant, policy: Policy) -> String? {
        guard let latest else { return "no sample yet" }
        let age = instant - latest.at
        guard age >= .zero - policy.staleAfter else {
            return "its clock is \(seconds(.zero - age)) ahead of the controller's: synchronise the clocks"
        }
        guard age <= policy.staleAfter else {
            return "stale: the last sample is \(seconds(age)) old, \(seconds(policy.staleAfter)) are allowed"
        }
        if let failure = latest.failures.first, latest.cpu == nil || latest.memory == nil || latest.vms == nil {
            return "its last sample lacks figures: \(failure.source): \(failure.reason)"
        }
        guard latest.cpu != nil, latest.memory != nil, latest.vms != nil else {
            return "its last sample lacks figures of CPU, memory or VMs"
        }
        return nil
    }

    func judgement(moves: MoveIndex) -> Judgement {
        judgement(moves: moves, window: settledWindow(since: moves.settledAt[name], policy: moves.policy))
    }

    /// `window`: the samples since the host's last move.
    func judgement(moves: MoveIndex, window: SampleWindow) -> Judgement {
        let policy = moves.policy
        func judge(_ verdict: Judgement.Verdict, _ reason: String) -> Judgement {
            Judgement(host: name, verdict: verdict, reason: reason)
        }
        if let reason = reasonUnknown(at: moves.at, policy: policy) { return judge(.unknown, reason) }
        guard let latest else { return judge(.unknown, "no sample yet") }
        if let reason = moves.distrusted[name] { return judge(.distrusted, reason) }
        if let move = moves.underWay[name] {
            return judge(.settling, "a move from \(move.source) to \(move.target) is under way")
        }
        guard !window.samples.isEmpty else { return judge(.settling, "no sample since its last move ended") }
        var notYet = ""
        for resource in Resource.allCases {
            switch window.overload(of: resource, policy: policy) {
            case .lasting(let reason): return judge(.overloaded, reason)
            case .notYet(let reason): notYet += "; \(reason)"
            case .none: break
            }
        }
        let shares = Resource.allCases.map { "\($0.rawValue) \(percent($0.share(of: latest) ?? 0))" }
            .joined(separator: ", ")
        let isLight = Resource.allCases.allSatisfy {
            ($0.share(of: latest) ?? 1) <= $0.thresholds(in: policy).lower
        }
        return judge(isLight ? .light : .calm, shares + notYet)
    }
}
