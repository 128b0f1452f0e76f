// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A value as JSON for machines: sorted keys, so that outputs can be compared.
package func jsonText(_ value: some Encodable, isPretty: Bool = true) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}
