// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import HostOS

/// The `openssl` command, which creates and checks all certificates.
enum OpenSSL {
    @discardableResult
    static func run(_ step: String, _ arguments: [String], input: String = "") async throws -> String {
        let result = try await result(step, arguments, input: input)
        guard result.succeeded else { throw IdentityError.openSSL(step: step, reason: errorMessage(of: result)) }
        return result.standardOutput
    }

    /// Verifies a certificate with the anchors and CRLs; throws `notTrusted` with openssl's message.
    static func verify(certificate: String, anchors: String, revocations: String) async throws {
        // Only these anchors: the machine's own authorities do not apply to this cluster.
        let arguments = [
            "verify", "-no-CApath", "-no-CAstore", "-CAfile", anchors, "-CRLfile", revocations, "-crl_check",
            "-x509_strict", certificate,
        ]
        let result = try await result("checking '\(certificate)'", arguments)
        guard result.succeeded else {
            throw IdentityError.notTrusted(path: certificate, reason: errorMessage(of: result))
        }
    }

    private static func result(_ step: String, _ arguments: [String], input: String = "") async throws -> CommandResult
    {
        // Independent of the locale, and without a random state file in the home folder.
        let environment = ["LC_ALL": "C", "RANDFILE": "/dev/null"]
        let command = Command("openssl", arguments, environment: environment, timeLimit: .seconds(60))
        do {
            return try await command.result(input: input)
        } catch CommandError.cannotStart(_, let reason) {
            throw IdentityError.openSSL(step: step, reason: "cannot start the program 'openssl' (\(reason))")
        } catch CommandError.timedOut(_, let limit) {
            throw IdentityError.openSSL(step: step, reason: "it took longer than \(limit.text)")
        }
    }

    private static func errorMessage(of result: CommandResult) -> String {
        let said = (result.standardError + "\n" + result.standardOutput).split(separator: "\n")
            .filter {
                !$0.hasPrefix("Using configuration") && !$0.contains("-----")
                    && $0 != "Check that the request matches the signature"
            }
        return said.isEmpty ? "exit code \(result.exitCode)" : said.prefix(4).joined(separator: "; ")
    }
}
