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
        abstract: "Feed a recording to the core again and hold what it decides against what was recorded.",
        discussion: """
            'evenkeel controller --record FILE' and 'evenkeel-agent run --record FILE' write recordings; nothing else is \
            needed to replay one. Exit code 1 when a decision or anything else that came out differs.

            With --policy it is shown which orders another policy would not have given, and which it would have given; \
            that is no failure. What follows the first order that differs is hypothetical: the recorded fleet went on \
            as the recorded orders moved it, and nobody took up the others.
            """
    )

    @Argument(help: ArgumentHelp("The recording; - is standard input.", valueName: "file"))
    var file: String

    @Option(
        help: ArgumentHelp(
            "A configuration file whose policy is used in place of the recorded one, as a whole: a key that it lacks "
                + "has its default. For a controller's recording.",
            valueName: "file"
        )
    )
    var policy: String?

    @Flag(help: "Print JSON.")
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
            throw FleetFileError(file: file, reason: "it is an agent's recording: --policy goes with a controller's")
        case (.agent, nil):
            guard let host = recording.header.host, let limits = recording.header.limits else {
                throw FleetFileError(file: file, line: 1, reason: "an agent's recording lacks its host or limits")
            }
            try check(ReplayView(of: recording, AgentCore(host: host, limits: limits)))
        }
    }

    private func check(_ view: ReplayView<some Core>) throws {
        try show(view)
        if !view.isSame { throw ExitCode.failure }
    }

    private func show(_ view: some Encodable & TextView) throws {
        printLine(json ? try evenkeel.json(view) : view.text)
    }
}

/// What a command shows, for people.
protocol TextView {
    var text: String { get }
}

extension ControllerCore {
    /// As `evenkeel controller` makes it.
    init(_ settings: Settings) {
        self.init(policy: settings.policy, decisionInterval: settings.decisionInterval)
    }
}
