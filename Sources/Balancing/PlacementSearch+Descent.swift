// SPDX-License-Identifier: Apache-2.0
import Fleet

extension PlacementSearch {
    /// Up to so many hosts, every host is looked at as a target; beyond, the emptiest ones.
    static var hostsLookedAt: Int { 256 }

    static var unitsSteepest: Int { 5000 }

    /// Moves unit after unit, those that gain most first, until nothing gains any more.
    ///
    /// The gains are taken for all, then used from the largest down as long as they still hold: nearly steepest descent
    /// at a fraction of its cost.
    mutating func descend() {
        // Closer to steepest descent where rounds are cheap.
        let steepness = space.units.count <= Self.unitsSteepest ? 0.5 : 0.02
        while !isOver() {
            let hosts = emptiestHosts()
            var candidates = gains(of: Array(space.units.indices), among: hosts)
            if candidates.isEmpty, hosts.count < space.activeCount {
                candidates = gains(of: heaviestHosts().flatMap { placement.unitsOn[$0] }, among: Array(share.indices))
            }
            guard let most = candidates.first?.gain else { return }
            var applied = 0
            for candidate in candidates where candidate.gain >= most * steepness {
                guard !isOver() else { return }
                guard let best = best(for: candidate.unit, among: hosts + [candidate.host]) else { continue }
                // What others did meanwhile may have made it a poor move: the next round sees it anew.
                guard best.gain >= candidate.gain * 0.9 else { continue }
                apply(candidate.unit, to: best.host)
                applied += 1
            }
            guard applied > 0 else { return }
        }
    }

    private struct Candidate {
        var unit: Int
        var host: Int
        var gain: Double
    }

    /// Every unit's best move, the largest gain first.
    private mutating func gains(of units: [Int], among hosts: [Int]) -> [Candidate] {
        var candidates: [Candidate] = []
        for unit in units where isMovable(unit) {
            if unit & 0xff == 0, isOver() { break }
            guard let best = best(for: unit, among: hosts) else { continue }
            candidates.append(Candidate(unit: unit, host: best.host, gain: best.gain))
        }
        return candidates.sorted { ($0.gain, $1.unit) > ($1.gain, $0.unit) }
    }

    /// The hosts on which a mean unit would cost least.
    private func emptiestHosts() -> [Int] {
        let active = share.indices.filter { space.isActive[$0] }
        guard active.count > Self.hostsLookedAt, !space.units.isEmpty else { return active }
        let mean = space.units.reduce(into: Vector()) { $0 += $1.demand } / Double(space.units.count)
        return sorted(active) { host in
            objective.energy(share[host] + mean * space.inverse[host]) - objective.energy(share[host])
        }
    }

    /// The active hosts that add most.
    private func heaviestHosts() -> [Int] {
        sorted(share.indices.filter { space.isActive[$0] }) { -objective.energy(share[$0]) }
    }

    private func sorted(_ hosts: [Int], by key: (Int) -> Double) -> [Int] {
        let keys = hosts.map { (key: key($0), host: $0) }
        return keys.sorted { ($0.key, $0.host) < ($1.key, $1.host) }.prefix(Self.hostsLookedAt).map(\.host)
    }
}
