// SPDX-License-Identifier: Apache-2.0
public import HostOS
public import Fleet

/// Runs the escort's external commands: on this host, in a namespace (the lab's hosts), or from a recording (tests).
public struct CommandRunner: Sendable {
    /// Probes a port of an address; waits up to `patience` for an answer.
    public typealias Probe =
        @Sendable (_ address: String, _ port: Int, _ patience: Duration) async -> GateProbe.Outcome

    private let body: @Sendable (_ command: Command, _ input: String) async throws -> CommandResult
    let probe: Probe

    /// Creates a runner; `probe` is needed if the commands run in another network namespace than this process.
    public init(
        _ probe: Probe? = nil,
        _ body: @escaping @Sendable (_ command: Command, _ input: String) async throws -> CommandResult
    ) {
        self.probe = probe ?? PortProbe.local
        self.body = body
    }

    /// Runs commands in the namespaces of this process.
    public static let local = Self { command, input in try await command.result(input: input) }

    func callAsFunction(_ command: Command, input: String = "") async throws -> CommandResult {
        try await body(command, input)
    }

    /// Runs a command that must succeed, and returns its standard output; `step` names it in the error.
    @discardableResult
    func require(_ step: String, _ command: Command, input: String = "") async throws -> String {
        let result: CommandResult
        do {
            result = try await body(command, input)
        } catch let error as CommandError {
            throw EscortError.refused(step: step, reason: error.description)
        }
        guard result.succeeded else { throw EscortError.refused(step: step, reason: result.errorMessage) }
        return result.standardOutput
    }
}

extension CommandResult {
    /// The exit code and the last lines of the program's output, without anything that resembles a key.
    var errorMessage: String {
        // Whatever it does, swanctl complains about plugins that are configured but not installed, as on stock Debian.
        let texts = [standardError, standardOutput].map { text in
            text.split(whereSeparator: \.isNewline)
                .filter { !($0.contains("plugin '") && $0.contains("failed to load")) }
        }
        let lines = (texts.first { !$0.isEmpty } ?? []).suffix(6).joined(separator: "; ")
        return "exit code \(exitCode)" + (lines.isEmpty ? "" : ": ") + withoutKeys(lines)
    }
}

/// Returns the text with every run of 16 or more hexadecimal digits after `0x` blanked: keys are written in this form.
func withoutKeys(_ text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let start = rest.firstIndex(of: "0") {
        result += rest[..<start]
        rest = rest[start...]
        guard rest.hasPrefix("0x") else {
            result.append(rest.removeFirst())
            continue
        }
        let digits = rest.dropFirst(2).prefix(while: \.isHexDigit)
        result += digits.count >= 16 ? "0x…" : "0x" + digits
        rest = rest[digits.endIndex...]
    }
    return result + rest
}
