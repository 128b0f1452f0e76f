// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Lab
import Testing

/// The built program, run by the lab's operator.
extension TestLab {
    /// Runs the program and returns its output; any exit code but 0 is an error.
    @discardableResult
    func evenkeel(_ words: String...) async throws -> String { try await command(words).run() }

    /// Runs the program, whatever its exit code.
    func evenkeelResult(_ words: String...) async throws -> CommandResult { try await command(words).result() }

    private func command(_ words: [String]) -> Command {
        Command(programs.evenkeel, words + ["--config", lab.configurationFile], timeLimit: .seconds(60))
    }

    struct Tally: Decodable {
        var stream: String
        var kind: String
        var writer: String?
        var count: Int
    }

    /// Returns the rejected records that `evenkeel status` counts in the ledger.
    func tally() async throws -> [Tally] {
        struct Status: Decodable { var ledger: [Tally] }
        let text = try await evenkeel("status", "--json")
        return try JSONDecoder().decode(Status.self, from: Data(text.utf8)).ledger
    }
}
