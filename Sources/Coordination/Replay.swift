// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// One event that a core received, with the effects that it returned.
public struct RecordedStep<C: Core>: Codable, Sendable {
    public var event: C.Event
    public var effects: [C.Effect]

    public init(event: C.Event, effects: [C.Effect]) {
        self.event = event
        self.effects = effects
    }
}

/// Feeds recorded events to a core again and compares its effects with the recorded ones.
public struct Replay<C: Core> {
    /// An event with different effects.
    public struct Difference {
        /// The event's number, from 1.
        public var event: Int
        /// The time of the event, or of the last event before it that has one.
        public var at: Instant?
        public var recorded: [C.Effect]
        public var now: [C.Effect]
    }

    private var core: C
    private let kept: Int
    public private(set) var clock = ReplayClock()
    /// The first differences, up to the number to keep.
    public private(set) var differences: [Difference] = []
    public private(set) var differenceCount = 0

    /// `core`: a fresh core with the recorded configuration.
    public init(_ core: C, keeping kept: Int = 10) {
        self.core = core
        self.kept = kept
    }

    public mutating func take(_ step: RecordedStep<C>) {
        clock.take(step.event)
        let now = core.handle(step.event)
        guard now != step.effects else { return }
        differenceCount += 1
        guard differences.count < kept else { return }
        differences.append(Difference(event: clock.events, at: clock.last, recorded: step.effects, now: now))
    }
}

/// Counts a recording's events and follows their times.
public struct ReplayClock: Sendable {
    public private(set) var events = 0
    public private(set) var first: Instant?
    public private(set) var last: Instant?

    public init() {}

    public mutating func take(_ event: some CoreEvent) {
        events += 1
        guard let instant = event.instant else { return }
        first = first ?? instant
        last = instant
    }
}
