// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Which host has a VM according to the records, if several hosts list it as running.
///
/// One of them may lie. The records decide, because no host can write another one's:
///
/// 1. An order that was done gave the VM to its target, which has listed it since.
/// 2. Otherwise the VM belongs to the host that has listed it, in any state, at least a minute longer than the others.
///    The others must have written samples without it, and their claims must not have begun while that host was silent:
///    a host that is thought to be lost is replaced.
///
/// The records decide nothing if one of the hosts is the target of an order whose move began and failed, because it may
/// have completed there.
public struct Custody: Sendable, Equatable {
    /// A host's statement that it has a VM, without a sample that contradicts it.
    private struct Claim: Sendable, Equatable {
        var since: Instant
        /// Whether no earlier sample of the host is known.
        var isFirst: Bool
    }

    private struct List: Sendable, Equatable {
        var at: Instant
        var claims: [VMID: Claim]
        /// The host's latest silence.
        var silence: ClosedRange<Instant>?
    }

    private struct Event: Sendable, Equatable {
        var host: HostName
        var at: Instant
    }

    private var lists: [HostName: List] = [:]
    private var arrivals: [VMID: Event] = [:]
    /// Targets of moves that began and failed.
    private var failures: [VMID: [HostName: Instant]] = [:]

    /// Two hosts' samples are never from the same moment, and their clocks differ.
    private static let margin: Duration = .seconds(60)
    /// A host that is silent for longer may be thought to be lost.
    private static let silence: Duration = .seconds(600)
    /// More VMs than any real host has; it bounds the memory that a false claim can take.
    private static let mostVMs = 4096

    public init() {}

    /// Takes a sample that is newer than all earlier ones of its host.
    ///
    /// `instant` is the reader's time: with its own clock, a host could date its claim back.
    public mutating func take(_ sample: LoadSample, at instant: Instant) {
        guard let vms = sample.vms else { return }
        let known = lists[sample.host]
        var list = List(at: instant, claims: [:], silence: known?.silence)
        if let last = known?.at, instant - last > Self.silence { list.silence = last...instant }
        for vm in vms.prefix(Self.mostVMs) {
            list.claims[vm.id] = known?.claims[vm.id] ?? Claim(since: instant, isFirst: known == nil)
        }
        lists[sample.host] = list
    }

    /// Notes that an order was done, or that an operator has stated where its VM is.
    public mutating func arrive(_ vm: VMID, on host: HostName, at instant: Instant) {
        if let known = arrivals[vm], known.at > instant { return }
        arrivals[vm] = Event(host: host, at: instant)
        failures[vm] = failures[vm]?.filter { $0.value > instant }
    }

    /// Notes that a move to a host began and failed.
    public mutating func fail(_ vm: VMID, to target: HostName, at instant: Instant) {
        if let arrival = arrivals[vm], arrival.at > instant { return }
        failures[vm, default: [:]][target] = instant
    }

    /// Forgets the orders of VMs that are gone, and moves that failed before an instant.
    public mutating func forget(before oldest: Instant, isGone: (VMID) -> Bool) {
        arrivals = arrivals.filter { !isGone($0.key) }
        failures = failures.compactMapValues { targets in
            let recent = targets.filter { $0.value >= oldest }
            return recent.isEmpty ? nil : recent
        }
    }

    /// Returns which of the hosts that list a VM as running has it; `nil`: the records do not decide.
    public func holder(of vm: VMID, among hosts: [HostName]) -> HostName? {
        guard !hosts.contains(where: { failures[vm]?[$0] != nil }) else { return nil }
        if let arrival = arrivals[vm], hosts.contains(arrival.host), let claim = lists[arrival.host]?.claims[vm],
            claim.isFirst || claim.since <= arrival.at + Self.margin
        {
            return arrival.host
        }
        let claims = hosts.compactMap { host in lists[host]?.claims[vm].map { (host: host, claim: $0) } }
        guard claims.count == hosts.count, let first = claims.min(by: { $0.claim.since < $1.claim.since }) else {
            return nil
        }
        let silence = lists[first.host]?.silence
        let others = claims.filter { $0.host != first.host }
        let areLate = others.allSatisfy { other in
            !other.claim.isFirst && other.claim.since - first.claim.since >= Self.margin
                && silence?.contains(other.claim.since) != true
        }
        return areLate ? first.host : nil
    }
}
