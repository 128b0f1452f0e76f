// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Coordination
import Fleet
import FleetFiles
import Foundation
import Settings

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Replay a recording and compare the decisions with the recorded ones",
        discussion: """
            'evenkeel controller --record FILE' and 'evenkeel-agent run --record FILE' write recordings; a replay needs \
            nothing else. Exits with code 1 if a decision or any other effect differs.

            With --policy, shows which of the recorded orders another policy would have dropped, and which it would have \
            added; differences are not a failure. After the first different order the comparison is hypothetical, \
            because the recorded fleet followed the recorded orders.
            """
    )

    @Argument(help: ArgumentHelp("Recording to replay (-: standard input)", valueName: "file"))
    var file: String

    @Option(
        help: ArgumentHelp(
            "Configuration file whose policy replaces the whole recorded one; missing keys have their defaults (only "
                + "for the recording of a controller)",
            valueName: "file"
        )
    )
    var policy: String?

    @Flag(help: "Print JSON")
    var json = false

    func run() throws {
        let recording = try Recording(try FleetInput.bytes(of: file), name: file)
        switch (recording.header.core, policy) {
        case (.controller, let policy?):
            let settings = try Settings.load(file: (name: policy, text: try FleetInput.text(of: policy)))
            try show(PolicyView(of: recording, settings: settings, policy: policy))
        case (.controller, nil):
            let settings = try Settings.load(file: (name: "\(file):1", text: recording.header.configuration))
            try check(ReplayView(of: recording, ControllerCore(settings)))
        case (.agent, .some):
            throw FleetFileError(
                file: file,
                reason: "this is the recording of an agent; --policy requires that of a controller"
            )
        case (.agent, nil):
            guard let host = recording.header.host, let limits = recording.header.limits else {
                throw FleetFileError(
                    file: file,
                    line: 1,
                    reason: "the recording of an agent does not name its host or limits"
                )
            }
            try check(ReplayView(of: recording, AgentCore(host: host, limits: limits)))
        }
    }

    private func check(_ view: ReplayView<some Core>) throws {
        try show(view)
        if !view.isSame { throw ExitCode.failure }
    }

    private func show(_ view: some Encodable & TextView) throws {
        printLine(json ? try jsonText(view) : view.text)
    }
}

/// The text output of a command.
protocol TextView {
    var text: String { get }
}

extension ControllerCore {
    /// Creates the core in the same way as `evenkeel controller`.
    init(_ settings: Settings) {
        self.init(policy: settings.policy, decisionInterval: settings.decisionInterval)
    }
}
