// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings

struct ConfigurationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configuration",
        abstract: "Print the configuration in force as a file with every key explained.",
        discussion: "Also checks it: an unknown key or a bad value is refused with its place and the reason."
    )

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        print(try options.settings().documentedFile(), terminator: "")
    }
}
