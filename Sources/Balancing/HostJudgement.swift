// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A resource whose share is compared with thresholds.
enum Resource: CaseIterable {
    case cpu
    case memory

    var loaded: LoadedResource { self == .cpu ? .cpu : .memory }

    func share(of sample: LoadSample) -> Double? {
        switch self {
        case .cpu: usableFigure(sample.cpu?.share)
        case .memory: usableFigure(sample.memory?.share)
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
    /// Returns the judgement of every host at the snapshot's instant, in the order of their names.
    public func judgements(policy: Policy) -> [Judgement] {
        let moves = MoveIndex(self, policy: policy)
        return hosts.map { $0.judgement(moves: moves) }
    }
}

extension HostHistory {
    /// Returns the judgement of the host at the snapshot's instant.
    ///
    /// Samples from before the end of the last move that changed the host do not count, because they are outdated.
    public func judgement(in snapshot: FleetSnapshot, policy: Policy) -> Judgement {
        judgement(moves: MoveIndex(snapshot, policy: policy))
    }

    /// Returns why the host cannot be judged, or `nil` if its latest sample is fresh and complete.
    func reasonUnknown(at instant: Instant, policy: Policy) -> JudgementReason? {
        guard let latest else { return .noSample }
        let age = instant - latest.at
        guard age >= .zero - policy.staleAfter else { return .clockAhead(seconds: (.zero - age).wholeSeconds) }
        guard age <= policy.staleAfter else {
            return .stale(secondsAgo: age.wholeSeconds, allowedSeconds: policy.staleAfter.wholeSeconds)
        }
        if let failure = latest.failures.first, latest.cpu == nil || latest.memory == nil || latest.vms == nil {
            return .sourceFailed(source: failure.source, reason: failure.reason)
        }
        guard latest.cpu != nil, latest.memory != nil, latest.vms != nil else { return .figuresMissing }
        return nil
    }

    func judgement(moves: MoveIndex) -> Judgement {
        judgement(moves: moves, window: settledWindow(since: moves.settledAt[name], policy: moves.policy))
    }

    /// `window`: the samples since the host's last move.
    func judgement(moves: MoveIndex, window: SampleWindow) -> Judgement {
        let policy = moves.policy
        func judge(_ verdict: Judgement.Verdict, _ reason: JudgementReason) -> Judgement {
            Judgement(host: name, verdict: verdict, reason: reason)
        }
        if let reason = reasonUnknown(at: moves.at, policy: policy) { return judge(.unknown, reason) }
        guard let latest else { return judge(.unknown, .noSample) }
        if let contradictions = moves.distrusted[name] { return judge(.distrusted, .contradicted(contradictions)) }
        if let reason = latest.takesNoOrdersBecause { return judge(.blocked, .takesNoOrders(reason: reason)) }
        if let move = moves.underWay[name] { return judge(.settling, .moveUnderWay(move.path)) }
        guard !window.samples.isEmpty else { return judge(.settling, .noSampleSinceMove) }
        var signs: [OverloadSign] = []
        for resource in Resource.allCases {
            switch window.overload(of: resource, policy: policy) {
            case .lasting(let sign): return judge(.overloaded, .overload(sign))
            case .notYet(let sign): signs.append(sign)
            case .none: break
            }
        }
        let isLight = Resource.allCases.allSatisfy {
            ($0.share(of: latest) ?? 1) <= $0.thresholds(in: policy).lower
        }
        func share(_ resource: Resource) -> Double { resource.share(of: latest) ?? 0 }
        return judge(isLight ? .light : .calm, .load(cpu: share(.cpu), memory: share(.memory), signs: signs))
    }
}
