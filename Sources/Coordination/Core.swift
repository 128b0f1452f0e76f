// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A machine without I/O: events in, effects out.
///
/// Its effects follow from its events alone, so a record of both can be checked at any time and on any machine.
public protocol Core<Event, Effect>: SendableMetatype {
    associatedtype Event: CoreEvent
    associatedtype Effect: Codable, Sendable, Equatable
    mutating func handle(_ event: Event) -> [Effect]
}

/// What a core is told.
public protocol CoreEvent: Codable, Sendable {
    /// When it was told; `nil` for news that carries no time.
    var instant: Instant? { get }
}

extension ControllerCore: Core {}

extension ControllerCore.Event: CoreEvent {
    public var instant: Instant? {
        switch self {
        case .sample(_, let at), .report(_, let at), .caughtUp(let at), .tick(let at, _): at
        case .closures, .order, .enrolled, .ledgerLost, .submitted: nil
        }
    }
}

extension AgentCore: Core {}

extension AgentCore.Event: CoreEvent {
    public var instant: Instant? { at }
}
