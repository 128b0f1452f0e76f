// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Whole outputs, compared with the text files in `Golden`.
///
/// With `EVENKEEL_RECORD_GOLDEN=1` the files are written instead, so that a change of wording is reviewed as text.
enum Golden {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")

    private static let isRecording = ProcessInfo.processInfo.environment["EVENKEEL_RECORD_GOLDEN"] == "1"

    /// Expects the text to equal the file `name`, a path below `Golden`.
    static func expect(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let file = folder.appendingPathComponent(name)
        let text = text.hasSuffix("\n") ? text : text + "\n"
        if isRecording {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            return try Data(text.utf8).write(to: file)
        }
        let expected = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        guard text != expected else { return }
        Issue.record(
            """
            The output differs from \(file.path):
            \(difference(expected, text))
            If that is intended, run the test again with EVENKEEL_RECORD_GOLDEN=1 and review the changed file.
            """,
            sourceLocation: sourceLocation
        )
    }

    /// Returns five lines of each text from the first difference on.
    private static func difference(_ expected: String, _ text: String) -> String {
        let (old, new) = (lines(expected), lines(text))
        let common = zip(old, new).prefix { $0 == $1 }.count
        let removed = old.dropFirst(common).prefix(5).map { "- \($0)" }
        return (["line \(common + 1):"] + removed + new.dropFirst(common).prefix(5).map { "+ \($0)" })
            .joined(separator: "\n")
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: false)
    }
}
