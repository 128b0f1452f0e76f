// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension HostHistory {
    /// Samples younger than this are all kept: twice the short window of the default policy.
    public static let fullDetail: Duration = .seconds(120)
    /// Of older samples, the last in each such span is kept.
    public static let thinSpan: Duration = .seconds(60)

    /// Appends a sample and drops samples that no window needs; a sample that is not newer than the latest is ignored.
    public mutating func append(_ sample: LoadSample, policy: Policy) {
        if let latest, latest.at >= sample.at { return }
        // Only the latest answer counts.
        if let last = samples.indices.last { samples[last].forgetMovability() }
        samples.append(latest.map { sample.sharingNames(with: $0) } ?? sample)
        thin(policy: policy)
    }

    /// Drops samples that no window needs.
    ///
    /// It keeps every sample of the last two minutes, and before that the last of each minute within the long window.
    /// The last `overloadWindow` samples are always kept. Thinning after each sample or once at the end gives the same
    /// result. Half an hour of a host that is sampled every 5 s takes 24 + 28 samples instead of 360.
    public mutating func thin(policy: Policy) {
        guard let latest else { return }
        let certain = max(0, samples.count - policy.overloadWindow)
        let detailed = latest.at - Self.fullDetail
        let oldest = latest.at - max(policy.longWindow, Self.fullDetail)
        let span = Self.thinSpan.wholeMilliseconds
        func minute(_ index: Int) -> Int64 { samples[index].at.milliseconds / span }
        func isThin(_ index: Int) -> Bool { index < certain && samples[index].at < detailed }
        let kept = samples.indices.filter { index in
            guard isThin(index) else { return true }
            guard samples[index].at >= oldest else { return false }
            let next = index + 1
            return !isThin(next) || minute(next) != minute(index)
        }
        if kept.count < samples.count { samples = kept.map { samples[$0] } }
    }
}

extension LoadSample {
    mutating func forgetMovability() {
        guard let vms else { return }
        for index in vms.indices where vms[index].cannotMove != nil { self.vms?[index].cannotMove = nil }
    }

    /// Returns the same sample, with strings shared with an earlier one where they are equal.
    ///
    /// Each sample read from the ledger has its own copy of every uuid. Over half an hour of a large fleet, the copies
    /// would take more memory than the figures. Shared strings are also compared by pointer.
    func sharingNames(with earlier: LoadSample) -> LoadSample {
        var shared = self
        if hypervisor == earlier.hypervisor { shared.hypervisor = earlier.hypervisor }
        guard let vms, let known = earlier.vms else { return shared }
        for (index, vm) in vms.enumerated() where index < known.count && known[index].id == vm.id {
            shared.vms?[index].id = known[index].id
            if known[index].name == vm.name { shared.vms?[index].name = known[index].name }
        }
        return shared
    }
}
