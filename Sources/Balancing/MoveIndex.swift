// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The moves of a snapshot by host and by VM, and the restrictions on moves that follow from them.
struct MoveIndex: Sendable {
    let at: Instant
    let policy: Policy
    /// When the last successful move from or to each host ended.
    private(set) var settledAt: [HostName: Instant] = [:]
    /// A move under way from or to each host.
    private(set) var underWay: [HostName: Move] = [:]
    private(set) var inFlight: [VMID: Move] = [:]
    private(set) var past: [VMID: [PastMove]] = [:]
    let twice: [VMID: RunningTwice]
    /// Hosts whose claims are contradicted, and how.
    let distrusted: [HostName: [Contradiction]]
    /// The hosts' hypervisors, from their newest samples.
    private var hypervisors: [HostName: HypervisorFacts] = [:]

    /// `twice`: VMs that were observed running on more than one host; they must stay unless the records give them to one.
    init(_ snapshot: FleetSnapshot, policy: Policy, twice: [RunningTwice] = []) {
        at = snapshot.at
        self.policy = policy
        distrusted = snapshot.distrusted
        self.twice = Dictionary(twice.map { ($0.vm, $0) }, uniquingKeysWith: { first, _ in first })
        for host in snapshot.hosts { hypervisors[host.name] = host.latest?.hypervisor }
        for move in snapshot.movesInFlight {
            inFlight[move.vm] = move
            for host in [move.source, move.target] where underWay[host] == nil { underWay[host] = move }
        }
        for ended in snapshot.pastMoves {
            past[ended.move.vm, default: []].append(ended)
            guard ended.succeeded else { continue }
            for host in [ended.move.source, ended.move.target] {
                settledAt[host] = max(ended.endedAt, settledAt[host] ?? ended.endedAt)
            }
        }
    }

    /// The mean bandwidth of finished migrations on each path, by channel, in bytes per second.
    var throughputs: [Path: [Channel: Double]] {
        var sums: [Path: [Channel: (sum: Double, count: Double)]] = [:]
        // A fixed order, because the sum of floating-point numbers depends on it.
        for vm in past.keys.sorted() {
            for ended in past[vm] ?? [] where ended.succeeded {
                guard let speed = usableFigure(ended.bytesPerSecond), speed > 0 else { continue }
                let known = sums[ended.move.path]?[ended.channel] ?? (0, 0)
                sums[ended.move.path, default: [:]][ended.channel] = (known.sum + speed, known.count + 1)
            }
        }
        return sums.mapValues { channels in channels.mapValues { $0.sum / $0.count } }
    }

    /// Returns how fast a VM's guest dirtied memory during its last move, in bytes per second.
    func dirtyRate(of vm: VMID) -> Double? {
        usableFigure(past[vm]?.max { $0.endedAt < $1.endedAt }?.dirtyBytesPerSecond)
    }

    /// Returns why a VM must not leave its host now, or `nil` if it may.
    func reasonToStay(_ vm: VMSample) -> StayReason? {
        guard vm.state == .running else { return .notRunning(vm.state) }
        if let reasons = vm.cannotMove { return .cannotMove(reasons) }
        guard vm.cpuCores != nil else { return .cpuUnknown }
        guard vm.memoryBytes != nil else { return .memoryUnknown }
        // A host whose claim the records do not explain must not keep another host's VM from being moved.
        if let twice = twice[vm.id], twice.holder == nil { return .runningTwice(twice) }
        if let last = past[vm.id]?.map(\.endedAt).max(), at - last < policy.cooldown {
            return .cooldown(secondsAgo: (at - last).wholeSeconds, seconds: policy.cooldown.wholeSeconds)
        }
        return nil
    }

    /// Returns hosts that a VM must not move to now, and why: it left them, its move to them failed, or they refused it
    /// for a reason that lasts.
    func avoids(_ vm: VMSample) -> [HostName: Obstacle] {
        var avoids: [HostName: Obstacle] = [:]
        let past = (past[vm.id] ?? []).sorted { $0.endedAt < $1.endedAt }
        for ended in past {
            let age = at - ended.endedAt
            if ended.succeeded, age < policy.noReturn {
                avoids[ended.move.source] =
                    .leftLately(secondsAgo: age.wholeSeconds, seconds: policy.noReturn.wholeSeconds)
            } else if !ended.succeeded, age < policy.cooldown * 2 {
                avoids[ended.move.target] =
                    .failedLately(secondsAgo: age.wholeSeconds, seconds: (policy.cooldown * 2).wholeSeconds)
            }
        }
        return avoids.merging(refusals(of: vm, past)) { $1 }
    }

    /// Returns the lasting refusals since which nothing has changed.
    private func refusals(of vm: VMSample, _ past: [PastMove]) -> [HostName: Obstacle] {
        var refusals: [HostName: Obstacle] = [:]
        for ended in past {
            let (target, age) = (ended.move.target, at - ended.endedAt)
            // A later move to the host shows that the reason is gone.
            if ended.succeeded { refusals[target] = nil }
            guard let refusal = ended.refusal, refusal.definition == vm.definition, age < LastingRefusal.lifetime,
                // Unknown after a restart of the controller: it asks once more.
                let before = refusal.hypervisor, before == hypervisors[target]
            else { continue }
            refusals[target] = .refused(refusal.reason, secondsAgo: age.wholeSeconds)
        }
        return refusals
    }
}
