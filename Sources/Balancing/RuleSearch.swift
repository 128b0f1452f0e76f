// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The classic strategies, for use and for comparison: hosts above the threshold give VMs to hosts below.
///
/// - threshold: the paper's (Tamrakar, IJERT 3(12), 2014). Each overloaded host gives to the lightest light one.
/// - push: sender-initiated. Each overloaded host gives to any host that does not become overloaded by it.
/// - pull: receiver-initiated. Each light host takes from the heaviest overloaded one.
/// - push-pull: both in turns (Eager, Lazowska, Zahorjan, 1986, compare the first two).
struct RuleSearch {
    private(set) var placement: Placement
    private let space: PlacementSpace
    private let policy: Policy

    init(_ start: Placement) {
        placement = start
        space = start.space
        policy = start.space.policy
    }

    mutating func run(_ strategy: Strategy, shouldStop: () -> Bool) {
        // Each turn moves a unit away from home for good, so there are at most as many turns as units.
        for _ in space.units.indices where !shouldStop() {
            let moved =
                switch strategy {
                case .threshold: push(toLightOnly: true)
                case .push: push(toLightOnly: false)
                case .pull: pull()
                default: push(toLightOnly: false) || pull()
                }
            guard moved else { return }
        }
    }

    // MARK: hosts

    private func heaviest(_ share: Vector) -> Double { max(share[Lane.cpu], share[Lane.memory]) }

    private func excess(_ share: Vector) -> Double {
        max(0, share[Lane.cpu] - policy.cpu.upper) + max(0, share[Lane.memory] - policy.memory.upper)
    }

    private func isOverloaded(_ host: Int) -> Bool {
        guard space.isActive[host], excess(placement.share(of: host)) > 0 else { return false }
        // If there is a history, the overload must have lasted.
        guard let judgement = space.model.hosts[host].judgement else { return true }
        return judgement.verdict == .overloaded
    }

    private func isLight(_ host: Int) -> Bool {
        let share = placement.share(of: host)
        return space.isActive[host] && policy.isLight(cpu: share[Lane.cpu], memory: share[Lane.memory])
    }

    private func sorted(_ hosts: [Int], by key: (Int) -> Double) -> [Int] {
        hosts.map { (key: key($0), host: $0) }.sorted { ($0.key, $0.host) < ($1.key, $1.host) }.map(\.host)
    }

    // MARK: turns

    /// Makes one move from the heaviest overloaded host that can be relieved.
    private mutating func push(toLightOnly: Bool) -> Bool {
        let hosts = Array(space.own.indices)
        let overloaded = sorted(hosts.filter(isOverloaded)) { -heaviest(placement.share(of: $0)) }
        guard !overloaded.isEmpty else { return false }
        let targets = sorted(hosts.filter { toLightOnly ? isLight($0) : space.isActive[$0] && !isOverloaded($0) }) {
            heaviest(placement.share(of: $0))
        }
        for source in overloaded {
            for unit in candidates(on: source) {
                guard let target = targets.first(where: { takes(unit, on: $0) }) else { continue }
                placement.move(unit, to: target)
                return true
            }
        }
        return false
    }

    /// Makes one move to the lightest host that can take a VM.
    private mutating func pull() -> Bool {
        let hosts = Array(space.own.indices)
        let sources = sorted(hosts.filter(isOverloaded)) { -heaviest(placement.share(of: $0)) }
        for target in sorted(hosts.filter(isLight), by: { heaviest(placement.share(of: $0)) }) {
            for source in sources {
                guard let unit = candidates(on: source).first(where: { takes($0, on: target) }) else { continue }
                placement.move(unit, to: target)
                return true
            }
        }
        return false
    }

    /// Returns the units that may leave, those with the most relief for the least memory first.
    private func candidates(on host: Int) -> [Int] {
        let before = excess(placement.share(of: host))
        var ranked: [(worth: Double, unit: Int)] = []
        for unit in placement.unitsOn[host] {
            let one = space.units[unit]
            guard one.staysBecause == nil, one.home == host else { continue }
            let after = excess((placement.used[host] - one.demand) * space.inverse[host])
            // On a host barely above its threshold, no VM can relieve more than the excess.
            guard before - after >= min(Self.leastRelief, before / 2) else { continue }
            ranked.append(((before - after) / max(one.memoryBytes, 1), unit))
        }
        return ranked.sorted { ($1.worth, $0.unit) < ($0.worth, $1.unit) }.map(\.unit)
    }

    /// A unit that relieves a host by less than this share is not worth a migration.
    private static let leastRelief = 0.01

    private func takes(_ unit: Int, on host: Int) -> Bool {
        placement.admits(unit, on: host)
            && excess((placement.used[host] + space.units[unit].demand) * space.inverse[host]) == 0
    }
}
