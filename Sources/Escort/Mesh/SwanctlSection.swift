// SPDX-License-Identifier: Apache-2.0

/// A section of a swanctl.conf.
public struct SwanctlSection: Sendable, Equatable {
    public var name: String
    public var settings: [(key: String, value: String)]
    public var sections: [SwanctlSection]

    public init(_ name: String, _ settings: KeyValuePairs<String, String> = [:], sections: [SwanctlSection] = []) {
        self.name = name
        self.settings = settings.map { ($0.key, $0.value) }
        self.sections = sections
    }

    public static func == (left: Self, right: Self) -> Bool { left.text() == right.text() }

    /// Returns the section in the syntax of swanctl.conf.
    func text(indentation: Int = 0) -> String {
        let margin = String(repeating: " ", count: indentation)
        var lines = [margin + name + " {"]
        lines += settings.map { "\(margin)    \($0.key) = \($0.value)" }
        lines += sections.map { $0.text(indentation: indentation + 4) }
        lines.append(margin + "}")
        return lines.joined(separator: "\n")
    }
}
