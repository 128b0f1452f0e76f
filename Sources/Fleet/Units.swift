// SPDX-License-Identifier: Apache-2.0

/// Returns a share as a whole percentage: `87 %`.
///
/// An implausible share is shown as more than a million.
package func percent(_ share: Double) -> String { wholePercent(share).map { "\($0) %" } ?? "over 1000000 %" }

/// Returns a share in whole percent, or `nil` if it is implausible.
package func wholePercent(_ share: Double) -> Int? {
    let value = (share * 100).rounded()
    return value.isFinite && abs(value) <= 1e6 ? Int(value) : nil
}

/// Returns bytes in MiB or GiB: `128 MiB`, `32 GiB`, `1.5 GiB`.
package func byteText(_ bytes: UInt64) -> String {
    guard bytes >= 1 << 30 else { return "\(bytes >> 20) MiB" }
    // A division first: ten times the bytes of a member's false figure would overflow.
    let tenths = (bytes >> 30) * 10 + ((bytes & ((1 << 30) - 1)) * 10 + (1 << 29)) >> 30
    return tenths % 10 == 0 ? "\(tenths / 10) GiB" : "\(tenths / 10).\(tenths % 10) GiB"
}

/// Returns cores with two decimals: `0.15 cores`.
package func cores(_ value: Double) -> String {
    guard value.isFinite, abs(value) <= 1e12 else { return "over 1000000000000 cores" }
    let hundredths = Int((value * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) cores"
}

extension Duration {
    /// Whole seconds, for ages in texts.
    package var wholeSeconds: Int64 { wholeMilliseconds / 1000 }

    /// The duration for texts: `90 s`, `1.5 s`, `250 ms`.
    ///
    /// Swift's own description is `90.0 seconds`.
    package var text: String {
        let milliseconds = wholeMilliseconds
        guard milliseconds.magnitude >= 1000 else { return milliseconds == 0 ? "0 s" : "\(milliseconds) ms" }
        let tenths = milliseconds.magnitude % 1000 / 100
        return "\(milliseconds / 1000)\(tenths == 0 ? "" : ".\(tenths)") s"
    }
}

/// Returns a figure from outside if it can be computed with, or `nil` if it is implausible.
package func usableFigure(_ value: Double?) -> Double? {
    // The bound exceeds the bytes per second of any machine, and sums and squares of it are still finite.
    guard let value, value >= 0, value <= 1e15 else { return nil }
    return value
}
