// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet

/// The first line of a recording: the core, its configuration and limits.
public struct RecordingHeader: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable { case controller, agent }

    public var format = Self.format
    public var version = Self.version
    public var core: Kind
    /// The agent's host; `nil` for a controller.
    public var host: HostName?
    /// The configuration in force, in the format that `evenkeel configuration` prints.
    public var configuration: String
    /// An agent's limits; `nil` for a controller.
    public var limits: AgentCore.Limits?

    static let format = "evenkeel-recording"
    static let version = 3

    public init(controller configuration: String) {
        core = .controller
        self.configuration = configuration
    }

    public init(agent: AgentCore, configuration: String) {
        core = .agent
        host = agent.host
        self.configuration = configuration
        limits = agent.limits
    }
}
