// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Holds what a host claims of itself in its samples against its hardware as enrolled, against what its libvirt showed
/// to other hosts, and against itself: a host that advertises more than it has draws VMs to itself.
///
/// Samples and sightings are of different moments, so of a minute's the most favourable ones are taken: a claim is
/// contradicted only where every sample makes it and nothing that a witness saw allows it. To claim less than libvirt
/// shows is no contradiction: a control group may bound the host. Memory that VMs hold beyond what is in use is none
/// either: what a guest has not touched is not there; nor that less than the rest is available: a group's limit may be
/// above what its machine has left.
///
/// A witness can lie as well. One alone convicts nobody: the lower figure is planned with, and it is said. Two convict,
/// if they outnumber the witnesses that support the claim; witnesses that are themselves not believed do not count.
struct ClaimCheck {
    /// Within so much of each other samples and sightings are taken to be of one moment.
    static let window: Duration = .seconds(60)

    /// What became of one host's claims.
    struct Result: Sendable, Equatable {
        /// Contradicted beyond doubt, in words.
        var contradictions: [String] = []
        /// Contradicted by a single witness, in words.
        var doubts: [String] = []
        /// No plan reckons with more than this.
        var ceiling = Ceiling()
        /// VMs that it claims to run and that no witness was shown.
        var phantoms: Set<VMID> = []
    }

    /// The most that others' words leave of a host's claims; `nil`: nobody has said.
    struct Ceiling: Sendable, Equatable {
        var cores: Double?
        var totalBytes: UInt64?
        var availableBytes: UInt64?
    }

    let host: HostName
    let hardware: EnrolledHardware?
    /// What each witness was shown within the window.
    let sightings: [HostName: [PeerSighting]]
    /// The host's samples within the window, oldest first.
    let samples: ArraySlice<LoadSample>
    private(set) var result = Result()

    init(
        _ history: HostHistory,
        at instant: Instant,
        hardware: EnrolledHardware?,
        sightings: [HostName: [PeerSighting]]
    ) {
        host = history.name
        self.hardware = hardware
        let recent = history.samples.reversed().prefix { instant - $0.at <= Self.window }.count
        samples = history.samples.suffix(recent)
        self.sightings = sightings.compactMapValues { its in
            let fresh = its.filter { (instant - $0.at).magnitude <= Self.window }
            return fresh.isEmpty ? nil : fresh
        }
        guard let newest = samples.last else { return }
        checkFigures()
        if samples.count > 1 {
            checkVMs(newest)
            checkAgainstItself()
        }
    }

    // MARK: figures

    private mutating func checkFigures() {
        guard hardware != nil || !sightings.isEmpty else { return }
        let cores = figures { finite($0.cpu?.capacityCores) }
        hold(cores, "CPU cores", enrolled: hardware?.cpus.map { Double($0) }, seen: { Double($0.cpus) }) {
            $0.ceiling.cores = $1
        }
        let total = figures { $0.memory.map { Double($0.totalBytes) } }
        let enrolled = hardware?.memoryBytes.map { Double($0) }
        hold(total, "memory", enrolled: enrolled, seen: { Double($0.memoryBytes) }) {
            $0.ceiling.totalBytes = Self.bytes($1)
        }
        // What is free changes all the time, and libvirt and the kernel reckon caches differently.
        let available = figures { $0.memory.map { Double($0.availableBytes) } }
        hold(
            available,
            "memory available",
            enrolled: nil,
            seen: { sighting in
                sighting.availableBytes.map {
                    Double($0) + Double(sighting.memoryBytes) * Self.marginShare + Self.marginBytes
                }
            }
        ) {
            $0.ceiling.availableBytes = Self.bytes($1)
        }
    }

    private static let marginShare = 0.05
    private static let marginBytes = 256.0 * 1024 * 1024

    /// A figure of every sample; empty where one lacks it.
    private func figures(_ figure: (LoadSample) -> Double?) -> [Double] {
        let figures = samples.compactMap(figure)
        return figures.count == samples.count ? figures : []
    }

    /// `seen`: the most that a sighting allows, `nil` where it does not tell.
    private mutating func hold(
        _ claims: [Double],
        _ what: String,
        enrolled: Double?,
        seen: (PeerSighting) -> Double?,
        cap: (inout Result, Double) -> Void
    ) {
        let shown = sightings.compactMapValues { $0.compactMap(seen).max() }
        let most = [shown.values.max(), enrolled].compactMap(\.self).min()
        if let most { cap(&result, most) }
        guard let claim = claims.min(), claims.count > 1 else { return }
        func amount(_ figure: Double) -> String {
            what == "CPU cores" ? "\(Self.rounded(figure)) \(what)" : "\(Self.mebibytes(figure)) MiB of \(what)"
        }
        if let enrolled, claim > enrolled {
            result.contradictions.append("it claims \(amount(claim)); enrolled were \(amount(enrolled))")
        }
        let against = shown.filter { claim > $0.value }
        settle(against: against.keys.sorted(), for: shown.count - against.count) { witnesses in
            let figure = against.values.max() ?? 0
            return "it claims \(amount(claim)); its libvirt showed at most \(amount(figure)) to \(witnesses)"
        }
    }

    /// Two witnesses convict if they outnumber those who support the claim; one alone makes it doubtful.
    private mutating func settle(against: [HostName], for supporters: Int, words: (String) -> String) {
        guard !against.isEmpty else { return }
        let names = against.map(\.rawValue).joined(separator: " and ")
        if against.count >= 2, against.count > supporters {
            result.contradictions.append(words(names))
        } else if supporters == 0 {
            result.doubts.append(words(names))
        }
    }

    // MARK: VMs

    private mutating func checkVMs(_ newest: LoadSample) {
        guard !sightings.isEmpty else { return }
        let lists = samples.compactMap { $0.vms.map { Set($0.filter(\.state.isActive).map(\.id)) } }
        guard lists.count == samples.count, let first = samples.first else { return }
        // A sighting of before the first sample may be of before a VM came.
        let witnesses = sightings.filter { its in its.value.contains { $0.at >= first.at && $0.at <= newest.at } }
        guard !witnesses.isEmpty else { return }
        let always = lists.dropFirst().reduce(lists[0]) { $0.intersection($1) }
        let ever = lists.reduce(into: Set()) { $0.formUnion($1) }
        let shown = witnesses.mapValues { its in its.reduce(into: Set()) { $0.formUnion($1.activeVMs) } }
        let seen = shown.values.reduce(into: Set()) { $0.formUnion($1) }
        let phantoms = always.subtracting(seen)
        result.phantoms = phantoms
        if let one = phantoms.min() {
            let name = newest.vms?.first { $0.id == one }?.name ?? one.rawValue
            settle(against: shown.keys.sorted(), for: 0) {
                "it claims to run \(phantoms.count) VMs, \(name) among them, that its libvirt does not show to \($0)"
            }
        }
        let hidden = witnesses.mapValues { its in
            its.dropFirst().reduce(Set(its[0].activeVMs)) { $0.intersection($1.activeVMs) }.subtracting(ever)
        }
        guard let one = hidden.values.flatMap(\.self).min() else { return }
        let against = hidden.filter { $0.value.contains(one) }.keys.sorted()
        settle(against: against, for: hidden.count - against.count) {
            "it says nothing of VM \(one), which its libvirt shows to \($0)"
        }
    }

    // MARK: itself

    private mutating func checkAgainstItself() {
        func always(_ contradicts: (LoadSample) -> Bool) -> Bool { samples.reversed().allSatisfy(contradicts) }
        if always({ sample in
            guard let memory = sample.memory else { return false }
            let (used, available, total) = (
                Double(memory.usedBytes), Double(memory.availableBytes), Double(memory.totalBytes)
            )
            let margin = total * Self.ownMarginShare + Self.marginBytes
            return available > total || used + available > total + margin
        }), let memory = samples.last?.memory {
            result.contradictions.append(
                "it claims \(memory.usedBytes >> 20) MiB used and \(memory.availableBytes >> 20) MiB available of "
                    + "\(memory.totalBytes >> 20) MiB, which does not add up"
            )
        }
        if always({ sample in
            guard let busy = finite(sample.cpu?.busyCores), let vms = sample.vms else { return false }
            return Self.cores(vms) > busy * (1 + Self.ownMarginShare) + 1
        }), let sample = samples.last {
            result.contradictions.append(
                "it claims \(Self.rounded(sample.cpu?.busyCores ?? 0)) busy CPU cores; its VMs alone use "
                    + "\(Self.rounded(Self.cores(sample.vms ?? [])))"
            )
        }
    }

    /// Figures of one sample are not of one moment either.
    private static let ownMarginShare = 0.25

    private static func cores(_ vms: [VMSample]) -> Double {
        vms.reduce(0) { $0 + (finite($1.cpuCores) ?? 0) }
    }

    // MARK: numbers

    private static func bytes(_ figure: Double) -> UInt64 { UInt64(min(max(0, figure), 1e18)) }
    private static func mebibytes(_ figure: Double) -> UInt64 { bytes(figure) >> 20 }
    /// With one decimal.
    private static func rounded(_ figure: Double) -> Double { (min(figure, 1e12) * 10).rounded() / 10 }
}

/// A figure that can be reckoned with.
private func finite(_ value: Double?) -> Double? {
    value.flatMap { $0 >= 0 && $0 <= 1e15 ? $0 : nil }
}

extension Duration {
    fileprivate var magnitude: Duration { self < .zero ? .zero - self : self }
}
