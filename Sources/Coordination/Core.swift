// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A state machine without I/O: events in, effects out.
///
/// Effects depend on the events alone. A recording of both can be checked at any time and on any machine.
public protocol Core<Event, Effect>: SendableMetatype {
    associatedtype Event: CoreEvent
    associatedtype Effect: Codable, Sendable, Equatable
    mutating func handle(_ event: Event) -> [Effect]
}

/// An input of a core.
public protocol CoreEvent: Codable, Sendable {
    /// The time of the event; `nil` for an event without one.
    var instant: Instant? { get }
}

extension ControllerCore: Core {}

extension ControllerCore.Event: CoreEvent {
    public var instant: Instant? {
        switch self {
        case .sample(_, let at), .report(_, let at), .caughtUp(let at), .tick(let at, _): at
        case .closures, .statistics, .order, .enrolled, .removed, .ledgerLost, .lockTaken, .lockLost, .submitted: nil
        }
    }
}

extension AgentCore: Core {}

extension AgentCore.Event: CoreEvent {
    public var instant: Instant? { at }
}
