// SPDX-License-Identifier: Apache-2.0
import Fleet
import Lab
import Settings

/// The length of a soak and its goals.
struct SoakPlan: Codable, Sendable, Equatable {
    /// Number of samples to write at high speed.
    var samples: Int
    var guests: Int
    var realTime: SoakPhase
    var fast: SoakPhase
    /// Size of a ledger's segments in bytes.
    var segmentBytes: UInt64
    /// Maximum size of each host's samples in bytes.
    var sampleBytes: UInt64
    /// Whether the run is too short, or the build too slow, for the goals of the issue.
    var isShort: Bool

    /// Number of simulated VMs.
    static let vms = 50
    /// The host with the simulated VMs; the hosts before it have real ones.
    static let simulatedHost = 4
    /// A controller keeps every sample of the last two minutes.
    static let retainedSeconds = 120.0
    /// Until this time its memory grows.
    static let historySeconds = 150.0
    /// The memory of one sample of 50 VMs in a controller's history, with room: 50 x 650 bytes.
    static let retainedSampleBytes: Int64 = 32 << 10
    /// Time between two moves in real time, in seconds.
    static let moveInterval = 120.0

    /// Creates the plan of a full soak.
    init(
        samples: Int = 100_000,
        interval: Duration = .milliseconds(20),
        realTime: Duration = .seconds(3600),
        guests: Int = 6
    ) {
        let expected = Double(samples) * interval.inSeconds
        self.samples = samples
        self.guests = guests
        self.realTime = SoakPhase(
            name: "real time",
            seconds: realTime.inSeconds,
            warmUp: min(300, realTime.inSeconds / 4),
            readingInterval: min(10, realTime.inSeconds / 60),
            samplingInterval: Settings().sampling.interval.inSeconds
        )
        fast = SoakPhase(
            name: "high speed",
            // An agent that is slower than the interval samples without a pause.
            seconds: max(60, expected * 4),
            warmUp: min(Self.historySeconds, expected / 4),
            readingInterval: min(2, expected / 60),
            samplingInterval: interval.inSeconds
        )
        segmentBytes = Settings().ledger.segmentBytes
        sampleBytes = Settings().ledger.retention.load.bytes
        isShort = false
    }

    /// The plan of `make test`: it takes about a minute with the lab's start, and finds only what grows fast.
    static let short: SoakPlan = {
        var plan = SoakPlan(samples: 2_000, interval: .milliseconds(5), realTime: .seconds(20), guests: 2)
        plan.realTime.warmUp = 8
        plan.realTime.readingInterval = 0.5
        plan.fast.seconds = 15
        plan.fast.warmUp = 5
        plan.fast.readingInterval = 0.5
        // Small, so that segments are dropped.
        plan.segmentBytes = 1 << 20
        plan.sampleBytes = 4 << 20
        plan.isShort = true
        return plan
    }()

    /// The lab: three hosts whose guests start on the first, and one with simulated VMs.
    var lab: LabPlan {
        var lab = LabPlan.allOnFirst(hosts: Self.simulatedHost - 1, guests: guests)
        // Its agent must be able to sample at full speed.
        lab.hosts.append(HostPlan(number: Self.simulatedHost, cores: 2))
        if isShort {
            // Quiet guests: moves would take longer than the phase.
            lab.guests = lab.guests.map {
                GuestPlan(number: $0.number, host: $0.host, unitMicroseconds: 1_300, dirtyMiBPerSecond: 0.25)
            }
        }
        return lab
    }

    /// The fewest samples that a ledger must get in a phase.
    func fewestSamples(in phase: SoakPhase, hosts: Int) -> Int {
        guard phase == fast else { return max(1, Int(phase.seconds / phase.samplingInterval / 2) * hosts) }
        // A short run ends at its time limit, and a debug build is slow.
        return isShort ? samples / 4 : samples
    }

    /// The fewest moves that must succeed in real time; the controller may be moving the same VM.
    var fewestMoves: Int { isShort || guests == 0 ? 0 : Int(realTime.seconds / Self.moveInterval / 2) }

    /// The largest growth of a program's log for each sample, in bytes; `nil`: not judged.
    ///
    /// In real time it depends on the moves, and in a short run on the start.
    func logBytesPerSample(in phase: SoakPhase) -> Double? { isShort || phase != fast ? nil : 10 }

    /// Returns the limits of a subject; `isRelease`: of an optimised build.
    func limits(of kind: SoakSubject.Kind, in phase: SoakPhase, isRelease: Bool) -> SoakLimits {
        var limits = SoakLimits()
        if isShort {
            // An observation of a peer, one of which may begin at the end, opens a few.
            limits.descriptorGrowth = 4
            limits.threadGrowth = 4
        }
        switch kind {
        case .agent(let simulated):
            if simulated, phase == realTime, isRelease {
                limits.residentBytes = 40 << 20
                limits.cpuShare = 0.005
            }
        case .controller:
            guard phase == fast else { break }
            // Its two minutes of samples follow the rate.
            limits.memoryPerSample = Self.retainedSampleBytes
            if phase.warmUp < Self.historySeconds { limits.memoryGrowth = nil }
        case .samples(let hosts):
            limits.fileBytesGrowth = nil
            limits.fileBytes = Int64(clamping: UInt64(hosts) * sampleBytes + 1 << 20)
        case .otherRecords: break
        }
        return limits
    }
}

/// One part of a soak; times are in seconds.
struct SoakPhase: Codable, Sendable, Equatable {
    var name: String
    /// Its length, or its time limit if it ends after a number of samples.
    var seconds: Double
    /// The time at its beginning that does not count.
    var warmUp: Double
    var readingInterval: Double
    /// Interval at which the agents sample.
    var samplingInterval: Double
}
