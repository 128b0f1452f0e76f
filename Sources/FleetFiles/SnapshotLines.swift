// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// The lines and keys of the elements of a JSON text's top-level arrays.
struct SnapshotLines {
    /// For each top-level key with an array: the line of each element, from 1.
    private(set) var elements: [String: [Int]] = [:]
    /// The keys of each object, with the path of its array (`hosts`), or `""` for the top level.
    private(set) var keys: [(array: String, index: Int, key: String, line: Int)] = []

    /// The last line of the text, and the number of brackets open there.
    private let lastLine: Int
    private let openBrackets: Int

    init(_ bytes: Data) {
        var line = 1
        var depth = 0
        var array = ""
        var lastString = ""
        var text: [UInt8] = []
        var isInString = false
        var isEscaped = false
        var isKeyExpected = false
        for byte in bytes {
            if byte == UInt8(ascii: "\n") { line += 1 }
            if isInString {
                if isEscaped {
                    isEscaped = false
                    text.append(byte)
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                    lastString = String(decoding: text, as: UTF8.self)
                } else {
                    text.append(byte)
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                isInString = true
                text = []
            case UInt8(ascii: ":"):
                if depth == 1 {
                    array = lastString
                    keys.append(("", 0, lastString, line))
                } else if depth == 3, isKeyExpected {
                    keys.append((array, (elements[array]?.count ?? 1) - 1, lastString, line))
                }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                if depth == 2, byte == UInt8(ascii: "{") { elements[array, default: []].append(line) }
                depth += 1
                if depth == 3 { isKeyExpected = byte == UInt8(ascii: "{") }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        lastLine = line
        openBrackets = max(0, depth)
    }

    /// Returns the line of an element, or of its key if the element has it.
    func line(_ array: String, _ index: Int, key: String? = nil) -> Int? {
        if let key, let found = keys.first(where: { $0.array == array && $0.index == index && $0.key == key }) {
            return found.line
        }
        guard let lines = elements[array], lines.indices.contains(index) else { return nil }
        return lines[index]
    }

    /// Returns a decoder's error as text with the line.
    func error(_ error: any Error, file: String) -> FleetFileError {
        guard let error = error as? DecodingError else { return FleetFileError(file: file, reason: "\(error)") }
        switch error {
        case .keyNotFound(let key, let context):
            return at(context.codingPath, file, "\(Self.path(context.codingPath)) has no '\(key.stringValue)'")
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return at(context.codingPath, file, "\(Self.path(context.codingPath)): \(Self.text(context))")
        case .dataCorrupted(let context):
            guard context.codingPath.isEmpty else {
                return at(context.codingPath, file, "\(Self.path(context.codingPath)): \(Self.text(context))")
            }
            let detail = context.underlyingError.map { " (\($0))" } ?? ""
            let reason =
                openBrackets > 0
                ? "it is truncated: it ends on line \(lastLine) with \(openBrackets) brackets open"
                : "it is not JSON, or a number in it is out of range or must be a whole number"
            return FleetFileError(
                file: file,
                line: Self.line(in: detail) ?? (openBrackets > 0 ? lastLine : nil),
                reason: reason + detail
            )
        @unknown default: return FleetFileError(file: file, reason: "\(error)")
        }
    }

    /// Returns a readable form of the decoder's message.
    private static func text(_ context: DecodingError.Context) -> String {
        let known: [String: [String]] = [
            "kind": PlacementRule.Kind.allCases.map(\.rawValue), "mode": HostMode.allCases.map(\.rawValue),
            "state": VMState.allCases.map(\.rawValue),
        ]
        let said = context.debugDescription
        if let key = context.codingPath.last?.stringValue, let values = known[key] {
            return "it must be one of \(values.joined(separator: ", "))"
        }
        if said.contains("Int") { return "it must be a whole number" }
        if said.contains("Double") { return "it must be a number" }
        return said
    }

    /// Returns the line in Foundation's message: "... around line 3, column 5."
    private static func line(in text: String) -> Int? {
        guard let mark = text.range(of: "line ") else { return nil }
        return Int(text[mark.upperBound...].prefix { $0.isNumber })
    }

    private func at(_ path: [any CodingKey], _ file: String, _ reason: String) -> FleetFileError {
        var found: Int?
        if path.count >= 2, let index = path[1].intValue {
            found = line(path[0].stringValue, index, key: path.count > 2 ? path[2].stringValue : nil)
        } else if let key = path.first {
            found = keys.first { $0.array.isEmpty && $0.key == key.stringValue }?.line
        }
        return FleetFileError(file: file, line: found ?? 1, reason: reason)
    }

    private static func path(_ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "the file" }
        return path.reduce("") { text, key in
            key.intValue.map { "\(text)[\($0)]" } ?? (text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)")
        }
    }
}
