// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Lets tests write host names as string literals.
extension HostName: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self.init(value) }
}
