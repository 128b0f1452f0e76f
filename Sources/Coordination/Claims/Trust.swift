// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Decides which hosts are trusted, from their samples and their enrolled hardware.
///
/// A contradicted host is distrusted until it has gone uncontradicted for the policy's cool-down. No host can make
/// another one distrusted.
struct Trust: Sendable {
    var hardware: [HostName: EnrolledHardware] = [:]
    private var distrust: [HostName: Distrust] = [:]
    private let probation: Duration

    /// The time and content of a host's last contradictions.
    private struct Distrust: Sendable {
        var since: Instant
        var contradictions: [Contradiction]
    }

    /// `probation`: how long a host must go uncontradicted to be trusted again.
    init(probation: Duration) { self.probation = probation }

    /// Checks the claims of a host after its newest sample.
    ///
    /// `instant` is the controller's time: with its own clock, a host could end its probation at will.
    mutating func check(_ history: HostHistory, at instant: Instant) {
        let host = history.name
        guard let check = ClaimCheck(history, hardware: hardware[host]) else { return }
        if !check.contradictions.isEmpty {
            distrust[host] = Distrust(since: instant, contradictions: check.contradictions)
        } else if let since = distrust[host]?.since {
            if instant - since >= probation { distrust[host] = nil }
            // The controller's clock was set back: the probation begins anew.
            if instant < since { distrust[host]?.since = instant }
        }
    }

    func isDistrusted(_ host: HostName) -> Bool { distrust[host] != nil }

    /// Distrusted hosts, and why.
    var distrusted: [HostName: [Contradiction]] { distrust.mapValues(\.contradictions) }

    /// Returns a host's history with its figures limited to its enrolled hardware.
    func corrected(_ history: HostHistory) -> HostHistory {
        guard let hardware = hardware[history.name], let latest = history.latest, hardware.isBelow(latest) else {
            return history
        }
        var history = history
        for index in history.samples.indices { hardware.limit(&history.samples[index]) }
        return history
    }
}

extension EnrolledHardware {
    fileprivate func isBelow(_ sample: LoadSample) -> Bool {
        var limited = sample
        limit(&limited)
        return limited.cpu != sample.cpu || limited.memory != sample.memory
    }

    fileprivate func limit(_ sample: inout LoadSample) {
        if let cpus, let claim = sample.cpu?.capacityCores { sample.cpu?.capacityCores = min(claim, Double(cpus)) }
        if let memoryBytes, let claim = sample.memory?.totalBytes {
            sample.memory?.totalBytes = min(claim, memoryBytes)
        }
    }
}
