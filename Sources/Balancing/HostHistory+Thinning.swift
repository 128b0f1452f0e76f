// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension HostHistory {
    /// Samples younger than this are all kept: twice the short window of the default policy.
    public static let fullDetail: Duration = .seconds(120)
    /// Of older samples the last of each such span is kept.
    public static let thinSpan: Duration = .seconds(60)

    /// Takes in a sample and lets go of what no window needs; one that is not newer than the latest is ignored.
    public mutating func append(_ sample: LoadSample, policy: Policy) {
        if let latest, latest.at >= sample.at { return }
        samples.append(latest.map { sample.sharingNames(with: $0) } ?? sample)
        thin(policy: policy)
    }

    /// Keeps every sample of the last two minutes, the last of each minute before that back to the long window's
    /// length, and in any case the last `overloadWindow`.
    ///
    /// Whether it is done after each sample or once at the end makes no difference. Half an hour of a host that is
    /// sampled every 5 s is then 24 + 28 samples instead of 360.
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
    /// The same sample with the texts of an earlier one where they are equal.
    ///
    /// Each sample read from the ledger brings its own copy of every uuid; over half an hour of a large fleet they
    /// would take more memory than the figures, and comparing shared ones is comparing pointers.
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
