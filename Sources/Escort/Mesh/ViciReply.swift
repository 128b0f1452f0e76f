// SPDX-License-Identifier: Apache-2.0

/// One message of charon, in the format of `swanctl --pretty`: sections, values and lists.
///
/// `--raw` cannot be parsed: it separates pairs by blanks, which identities and texts contain too.
struct ViciReply: Sendable, Equatable {
    var values: [String: String] = [:]
    var lists: [String: [String]] = [:]
    /// The sections in printed order; a name may occur twice.
    var sections: [Section] = []

    struct Section: Sendable, Equatable {
        var name: String
        var content: ViciReply
    }

    subscript(section name: String) -> ViciReply? { sections.first { $0.name == name }?.content }

    func number<Number: FixedWidthInteger>(_ key: String) -> Number? { values[key].flatMap { Number($0) } }

    /// Parses the whole output; each message is a section, named for instance `list-sa event`.
    init(pretty text: String) {
        var lines = text.split(whereSeparator: \.isNewline)[...].lazy.map(Self.trimmed).makeIterator()
        self.init(lines: &lines)
    }

    init() {}

    private init(lines: inout some IteratorProtocol<Substring>) {
        while let line = lines.next(), line != "}" {
            if let equals = line.range(of: " =") {
                let key = String(line[..<equals.lowerBound])
                let value = Self.trimmed(line[equals.upperBound...])
                if value == "[" {
                    var items: [String] = []
                    while let item = lines.next(), item != "]" { items.append(String(item)) }
                    lists[key] = items
                } else {
                    values[key] = String(value)
                }
            } else if line.hasSuffix("{") {
                sections.append(
                    Section(name: String(Self.trimmed(line.dropLast())), content: ViciReply(lines: &lines))
                )
            }
        }
    }

    private static func trimmed(_ line: Substring) -> Substring {
        var line = line.drop(while: \.isWhitespace)
        while line.last?.isWhitespace == true { line.removeLast() }
        return line
    }
}

extension Substring {
    /// Returns the range of the first occurrence of a short text.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            formIndex(after: &start)
        }
        return nil
    }
}
