// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Lab
import Testing

extension TestLab {
    /// Expects no private key of the cluster in what its programs wrote for others: the ledger with its reports, errors
    /// and evidence, and the logs.
    func expectNoKeyWasTold() async throws {
        var secrets: [String] = []
        var known: [String] = []
        for folder in [lab.site.controllerIdentity, lab.site.operatorIdentity] + lab.hosts.map(\.identityFolder) {
            let key = try Self.lines(ofPEM: "\(folder)/key.pem")
            let bytes = try #require(Data(base64Encoded: key.joined()))
            // PKCS#8 of P-256: the number is the 32 bytes after the first 36, and ends in the second line.
            let number = try #require(bytes.count == 138 ? bytes[36..<68] : nil)
            let hexadecimal = number.map { String(format: "%02x", $0) }.joined()
            secrets += key.prefix(2) + [hexadecimal, hexadecimal.uppercased(), number.base64EncodedString()]
            known.append(try #require(Self.lines(ofPEM: "\(folder)/certificate.pem").dropFirst(2).first))
        }
        #expect(try await told(secrets) == [])
        // The same search finds certificates in the ledger's roster, except those renewed since.
        #expect(try await told(known).contains { $0.hasSuffix("/roster.json") })
    }

    /// Returns the files that contain one of these words.
    private func told(_ words: [String]) async throws -> [Substring] {
        let logs = lab.hosts.flatMap { host in ["agent", "charon", "libvirtd"].map { host.logPath(of: $0) } }
        let places = [lab.site.ledgerFolder] + (logs + [lab.controllerLog]).filter(FileManager.default.fileExists)
        let grep = Command("grep", ["-rlaF", "-f", "-"] + places, timeLimit: .seconds(60))
        let result = try await grep.result(input: words.joined(separator: "\n") + "\n")
        try #require(result.exitCode < 2, "\(result.standardError)")
        return result.standardOutput.split(separator: "\n")
    }

    private static func lines(ofPEM path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
            .filter { !$0.hasPrefix("-") }
    }
}
