// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet

/// The first line of a recording: of which core, and with what it was made.
public struct RecordingHeader: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable { case controller, agent }

    public var format = Self.format
    public var version = Self.version
    public var core: Kind
    /// The agent's host; `nil` for a controller.
    public var host: HostName?
    /// The configuration in force, as the file that `evenkeel configuration` prints.
    public var configuration: String
    /// An agent's limits by name, those that are not the configuration's as well; `nil` for a controller.
    public var limitsMilliseconds: [String: Int64]?

    static let format = "evenkeel-recording"
    static let version = 2

    public init(controller configuration: String) {
        core = .controller
        self.configuration = configuration
    }

    public init(agent: AgentCore, configuration: String) {
        core = .agent
        host = agent.host
        self.configuration = configuration
        limitsMilliseconds = Self.limits.mapValues { agent.limits[keyPath: $0].wholeMilliseconds }
    }

    /// The recorded agent's limits; what the recording does not name has its default.
    public var limits: AgentCore.Limits {
        var limits = AgentCore.Limits()
        for (name, milliseconds) in limitsMilliseconds ?? [:] {
            if let field = Self.limits[name] { limits[keyPath: field] = .milliseconds(milliseconds) }
        }
        return limits
    }

    private static let limits: [String: any WritableKeyPath<AgentCore.Limits, Duration> & Sendable] = [
        "consent": \.consent,
        "progressInterval": \.progressInterval,
        "migration": \.migration,
        "doubt": \.doubt,
        "silence": \.silence,
        "jobLock": \.jobLock,
    ]
}
