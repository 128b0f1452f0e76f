// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Settings
import Testing

@testable import EvenkeelCLI
@testable import evenkeel_agent
@testable import evenkeel_lab

/// The help of one command of a program.
struct HelpPage: Sendable, CustomTestStringConvertible {
    /// `evenkeel host add`.
    var name: String
    var text: String

    var testDescription: String { name }
    var file: String { "help/\(name.replacing(" ", with: "-")).txt" }

    static let all = pages(Evenkeel.self) + pages(EvenkeelAgent.self) + pages(LabCommand.self)

    private static func pages(_ program: any ParsableCommand.Type) -> [HelpPage] {
        func pages(_ command: any ParsableCommand.Type, _ parents: [String]) -> [HelpPage] {
            let names = parents + [command._commandName]
            let page = HelpPage(
                name: names.joined(separator: " "),
                text: program.helpMessage(for: command, columns: 100)
            )
            return [page] + command.configuration.subcommands.flatMap { pages($0, names) }
        }
        return pages(program, [])
    }
}

/// Help texts and the documented configuration.
struct GoldenTests {
    @Test(arguments: HelpPage.all) func `the help of every command matches its golden file`(page: HelpPage) throws {
        try Golden.expect(page.text, page.file)
    }

    @Test func `every golden help text belongs to a command`() throws {
        let folder = Golden.folder.appendingPathComponent("help").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        #expect(Set(files.map { "help/\($0)" }).subtracting(HelpPage.all.map(\.file)).isEmpty)
    }

    @Test func `the documented configuration matches its golden file`() throws {
        try Golden.expect(Settings().documentedFile(), "configuration.txt")
    }
}
