// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings

struct ConfigurationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configuration",
        abstract: "Print the configuration in force as a file, with every key explained",
        discussion: "Also validates it: an unknown key or an invalid value is an error that names its location."
    )

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        print(try options.settings().documentedFile(), terminator: "")
    }
}
