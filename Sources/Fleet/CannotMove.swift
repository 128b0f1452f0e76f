// SPDX-License-Identifier: Apache-2.0

/// Why a VM cannot leave its host, whatever the target: what its host's agent would answer to an order.
///
/// It is in samples, which every reader keeps: the number and the length of its reasons are bounded, also when it is
/// read.
public struct CannotMove: Sendable, Hashable {
    /// Never empty.
    public let reasons: [PreflightFailure.Reason]

    static let mostReasons = 3
    static let longestText = 400

    /// Returns `nil` without a reason.
    public init?(_ reasons: [PreflightFailure.Reason]) {
        guard !reasons.isEmpty else { return nil }
        self.reasons = reasons.prefix(Self.mostReasons).map(Self.bounded)
    }

    /// The code of the first reason.
    public var code: String { reasons[0].code }
    public var text: String { reasons.map(\.text).joined(separator: "; ") }

    private static func bounded(_ reason: PreflightFailure.Reason) -> PreflightFailure.Reason {
        let text = reason.text
        guard text.unicodeScalars.count > longestText else { return reason }
        return .other(text.plainText(limit: longestText))
    }
}

extension CannotMove: Codable {
    /// One reason as text, with its code and, if it is known, its fields.
    private struct Entry: Codable {
        var code: String
        var reason: String
        var cause: PreflightFailure.Reason?

        private enum CodingKeys: String, CodingKey { case code, reason, cause }

        init(_ reason: PreflightFailure.Reason) {
            code = reason.code
            self.reason = reason.text
            if case .other = reason { cause = nil } else { cause = reason }
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            code = try values.decodeIfPresent(String.self, forKey: .code) ?? ""
            reason = (try? values.decodeIfPresent(String.self, forKey: .reason)) ?? code
            // A newer agent may write a cause that this version does not know. The text remains.
            cause = try? values.decode(PreflightFailure.Reason.self, forKey: .cause)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.singleValueContainer()
        try values.encode(reasons.map(Entry.init))
    }

    public init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        var reasons: [PreflightFailure.Reason] = []
        while !values.isAtEnd, reasons.count < Self.mostReasons {
            let entry = try values.decode(Entry.self)
            reasons.append(entry.cause ?? .other(entry.reason))
        }
        // A sample must stay readable, whatever is wrong with one reason.
        self.reasons = (reasons.isEmpty ? [.other("no reason is stated")] : reasons).map(Self.bounded)
    }
}
